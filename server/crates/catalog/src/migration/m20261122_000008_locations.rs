//! Where storages are, for the time when the configuration does not say any more.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::text_null;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let add = Table::alter().table(Storage::Table).add_column(text_null(Storage::Location)).take();
        manager.alter_table(add).await
    }
}

#[derive(DeriveIden)]
enum Storage {
    Table,
    Location,
}
