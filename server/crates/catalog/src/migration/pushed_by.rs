//! The token that a path was pushed with.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::text_null;

/// Adds the column to paths, and to those in the trash.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000700_pushed_by"
    }
}

#[derive(DeriveIden)]
enum StorePath {
    Table,
    PushedBy,
}

#[derive(DeriveIden)]
enum TrashedPath {
    Table,
    PushedBy,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = text_null(StorePath::PushedBy);
        manager.alter_table(Table::alter().table(StorePath::Table).add_column(column).take()).await?;
        let column = text_null(TrashedPath::PushedBy);
        manager.alter_table(Table::alter().table(TrashedPath::Table).add_column(column).take()).await
    }
}
