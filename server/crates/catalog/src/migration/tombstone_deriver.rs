//! The derivation of a removed path, whose build log goes with its last path.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::text_null;

/// Adds the column to tombstones.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000500_tombstone_deriver"
    }
}

#[derive(DeriveIden)]
enum Tombstone {
    Table,
    Deriver,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = text_null(Tombstone::Deriver);
        manager.alter_table(Table::alter().table(Tombstone::Table).add_column(column).take()).await
    }
}
