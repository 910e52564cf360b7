//! Paths that were removed from their cache and whose files are still on a storage.

use sea_orm_migration::prelude::{DbErr, ForeignKey, Index, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, big_pk_auto, blob};

use super::names::{Cache, Storage, Tombstone};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
                    ForeignKey::create().from(Tombstone::Table, Tombstone::Cache).to(Cache::Table, Cache::Id),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(Tombstone::Table, Tombstone::Storage)
                        .to(Storage::Table, Storage::Id),
                )
                .take(),
        )
        .await?;
    // Tombstones are processed storage by storage, in the order of ids.
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
    // A NAR file is removed after the narinfos that name it.
    manager
        .create_index(
            Index::create().name("tombstone_nar").table(Tombstone::Table).col(Tombstone::Nar).take(),
        )
        .await
}
