//! How far long jobs have come.

use sea_orm_migration::prelude::{DbErr, ForeignKey, Index, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, big_integer_null, text};

use super::names::{Storage, StorageJob};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(StorageJob::Table)
                .col(big_integer(StorageJob::Storage))
                .col(text(StorageJob::Kind))
                .col(big_integer_null(StorageJob::After))
                .col(big_integer(StorageJob::StartedAt))
                .col(big_integer_null(StorageJob::FinishedAt))
                .col(big_integer(StorageJob::Files))
                .col(big_integer(StorageJob::Bytes))
                .col(big_integer(StorageJob::Damaged))
                .col(big_integer(StorageJob::Failed))
                .primary_key(Index::create().col(StorageJob::Storage).col(StorageJob::Kind))
                .foreign_key(
                    ForeignKey::create()
                        .from(StorageJob::Table, StorageJob::Storage)
                        .to(Storage::Table, Storage::Id),
                )
                .take(),
        )
        .await
}
