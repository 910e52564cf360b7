//! Pins.

use sea_orm_migration::prelude::{DbErr, ForeignKey, Index, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, big_integer_null, big_pk_auto, blob, boolean, text};

use super::names::{Cache, Pin};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Pin::Table)
                .col(big_pk_auto(Pin::Id))
                .col(big_integer(Pin::Cache))
                .col(text(Pin::Name))
                .col(big_integer(Pin::Revision))
                .col(blob(Pin::PathHash))
                .col(text(Pin::PathName))
                .col(text(Pin::Artifacts))
                .col(big_integer_null(Pin::KeepDays))
                .col(big_integer_null(Pin::KeepRevisions))
                .col(boolean(Pin::KeepForever))
                .col(big_integer(Pin::CreatedAt))
                .foreign_key(ForeignKey::create().from(Pin::Table, Pin::Cache).to(Cache::Table, Cache::Id))
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("pin_revision")
                .table(Pin::Table)
                .col(Pin::Cache)
                .col(Pin::Name)
                .col(Pin::Revision)
                .unique()
                .take(),
        )
        .await?;
    // Garbage collection asks whether a path is pinned.
    manager
        .create_index(
            Index::create().name("pin_path").table(Pin::Table).col(Pin::Cache).col(Pin::PathHash).take(),
        )
        .await
}
