//! Further copies of NAR files.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, Index, IndexCreateStatement, MigrationName, MigrationTrait, SchemaManager, Table,
    async_trait,
};
use sea_orm_migration::schema::{big_integer, big_integer_null, big_pk_auto, blob, text};

/// Creates the table of copies.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261130_001400_copies"
    }
}

#[derive(DeriveIden)]
enum NarCopy {
    Table,
    Id,
    Cache,
    Nar,
    Storage,
    FileHash,
    Compression,
    FileSize,
    State,
    Exposure,
    ClaimedAt,
    CheckedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(NarCopy::Table)
                    .col(big_pk_auto(NarCopy::Id))
                    .col(big_integer(NarCopy::Cache))
                    .col(big_integer_null(NarCopy::Nar))
                    .col(big_integer_null(NarCopy::Storage))
                    .col(blob(NarCopy::FileHash))
                    .col(text(NarCopy::Compression))
                    .col(big_integer(NarCopy::FileSize))
                    .col(text(NarCopy::State))
                    .col(big_integer(NarCopy::Exposure))
                    .col(big_integer_null(NarCopy::ClaimedAt))
                    .col(big_integer_null(NarCopy::CheckedAt))
                    .take(),
            )
            .await?;
        let index = |name: &str| Index::create().name(name).table(NarCopy::Table).take();
        let indexes: [IndexCreateStatement; 4] = [
            index("nar_copy_nar").col(NarCopy::Nar).col(NarCopy::State).take(),
            // A storage has one copy of a file at most. Copies that are wanted have no storage yet.
            index("nar_copy_place").col(NarCopy::Storage).col(NarCopy::FileHash).unique().take(),
            // The backlog, the most exposed first.
            index("nar_copy_backlog")
                .col(NarCopy::Cache)
                .col(NarCopy::State)
                .col(NarCopy::Exposure)
                .col(NarCopy::Id)
                .col(NarCopy::FileSize)
                .take(),
            // Jobs work through a storage in the order of the files, and its bytes are summed up.
            index("nar_copy_storage")
                .col(NarCopy::Storage)
                .col(NarCopy::State)
                .col(NarCopy::Nar)
                .col(NarCopy::FileSize)
                .take(),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
