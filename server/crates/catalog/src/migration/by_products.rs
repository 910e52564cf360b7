//! The bytes of the by-products on a storage.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::big_integer;

/// Creates the table of counts.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000600_by_products"
    }
}

#[derive(DeriveIden)]
enum StorageByProducts {
    Table,
    Storage,
    Bytes,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(StorageByProducts::Table)
                    .col(big_integer(StorageByProducts::Storage).primary_key())
                    .col(big_integer(StorageByProducts::Bytes))
                    .take(),
            )
            .await
    }
}
