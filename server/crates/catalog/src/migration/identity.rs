//! What tells whether the catalog, the server key and the storages belong together.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, ForeignKey, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, big_pk_auto, blob, boolean, text};

/// Creates the tables.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000300_identity"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(CatalogIdentity::Table)
                    .col(big_integer(CatalogIdentity::Id).primary_key())
                    .col(blob(CatalogIdentity::Catalog))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(ServerKey::Table)
                    .col(big_pk_auto(ServerKey::Id))
                    .col(text(ServerKey::Fingerprint))
                    .col(big_integer(ServerKey::Since))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(StorageGeneration::Table)
                    .col(big_integer(StorageGeneration::Storage).primary_key())
                    .col(big_integer(StorageGeneration::Generation))
                    .col(boolean(StorageGeneration::Rebuild))
                    .foreign_key(
                        ForeignKey::create()
                            .from(StorageGeneration::Table, StorageGeneration::Storage)
                            .to(Storage::Table, Storage::Id),
                    )
                    .take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum CatalogIdentity {
    Table,
    Id,
    Catalog,
}

#[derive(DeriveIden)]
enum ServerKey {
    Table,
    Id,
    Fingerprint,
    Since,
}

#[derive(DeriveIden)]
enum StorageGeneration {
    Table,
    Storage,
    Generation,
    Rebuild,
}

#[derive(DeriveIden)]
enum Storage {
    Table,
    Id,
}
