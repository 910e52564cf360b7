//! What garbage collection has taken out of the caches and not yet removed from the storages.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table,
    async_trait,
};
use sea_orm_migration::schema::{big_integer, big_pk_auto, blob};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Tombstone::Table)
                    .col(big_pk_auto(Tombstone::Id))
                    .col(big_integer(Tombstone::Cache))
                    .col(big_integer(Tombstone::Storage))
                    .col(blob(Tombstone::Hash))
                    .col(big_integer(Tombstone::Nar))
                    .foreign_key(
                        ForeignKey::create()
                            .from(Tombstone::Table, Tombstone::Cache)
                            .to(Cache::Table, Cache::Id),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(Tombstone::Table, Tombstone::Storage)
                            .to(Storage::Table, Storage::Id),
                    )
                    .take(),
            )
            .await?;
        // They are worked off storage by storage, in the order of ids.
        manager
            .create_index(
                Index::create()
                    .name("tombstone_storage")
                    .table(Tombstone::Table)
                    .col(Tombstone::Storage)
                    .col(Tombstone::Id)
                    .take(),
            )
            .await?;
        // A file goes after the narinfos that name it.
        manager
            .create_index(
                Index::create().name("tombstone_nar").table(Tombstone::Table).col(Tombstone::Nar).take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum Cache {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Storage {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Tombstone {
    Table,
    Id,
    Cache,
    Storage,
    Hash,
    Nar,
}
