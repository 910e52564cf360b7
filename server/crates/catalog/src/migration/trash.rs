//! The trash: paths that were removed from their cache and can be restored for a while.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, ForeignKey, Index, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, big_pk_auto, blob, text, text_null};

/// Creates the table of trashed paths.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000200_trash"
    }
}

#[derive(DeriveIden)]
enum Cache {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Nar {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum TrashedPath {
    Table,
    Id,
    Cache,
    Hash,
    Name,
    Nar,
    ReferenceNames,
    Deriver,
    Ca,
    Signatures,
    CreatedAt,
    LastUsedAt,
    TrashedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(TrashedPath::Table)
                    .col(big_pk_auto(TrashedPath::Id))
                    .col(big_integer(TrashedPath::Cache))
                    .col(blob(TrashedPath::Hash))
                    .col(text(TrashedPath::Name))
                    .col(big_integer(TrashedPath::Nar))
                    .col(text(TrashedPath::ReferenceNames))
                    .col(text_null(TrashedPath::Deriver))
                    .col(text_null(TrashedPath::Ca))
                    .col(text(TrashedPath::Signatures))
                    .col(big_integer(TrashedPath::CreatedAt))
                    .col(big_integer(TrashedPath::LastUsedAt))
                    .col(big_integer(TrashedPath::TrashedAt))
                    .foreign_key(
                        ForeignKey::create()
                            .from(TrashedPath::Table, TrashedPath::Cache)
                            .to(Cache::Table, Cache::Id),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(TrashedPath::Table, TrashedPath::Nar)
                            .to(Nar::Table, Nar::Id),
                    )
                    .take(),
            )
            .await?;
        // A path that is removed once more replaces what the trash has of it.
        manager
            .create_index(
                Index::create()
                    .name("trashed_path_hash")
                    .table(TrashedPath::Table)
                    .col(TrashedPath::Cache)
                    .col(TrashedPath::Hash)
                    .unique()
                    .take(),
            )
            .await?;
        // Whether a NAR file can be removed depends on the paths in the trash that need it.
        manager
            .create_index(
                Index::create()
                    .name("trashed_path_nar")
                    .table(TrashedPath::Table)
                    .col(TrashedPath::Nar)
                    .take(),
            )
            .await
    }
}
