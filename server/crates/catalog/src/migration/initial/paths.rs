//! NAR files, store paths, their references, and the list of unpublished paths.

use sea_orm_migration::prelude::{DbErr, ForeignKey, ForeignKeyAction, Index, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, big_integer_uniq, big_pk_auto, blob, boolean, text, text_null};
use sea_orm_migration::sea_orm::DbBackend;

use super::names::{Cache, Nar, Reference, Storage, StorePath, UnpublishedPath};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_nar(manager).await?;
    create_store_path(manager).await?;
    create_reference(manager).await?;
    manager
        .create_table(
            Table::create()
                .table(UnpublishedPath::Table)
                .col(big_pk_auto(UnpublishedPath::Id))
                .col(big_integer_uniq(UnpublishedPath::Path))
                .foreign_key(
                    ForeignKey::create()
                        .from(UnpublishedPath::Table, UnpublishedPath::Path)
                        .to(StorePath::Table, StorePath::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await
}

async fn create_nar(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Nar::Table)
                .col(big_pk_auto(Nar::Id))
                .col(big_integer(Nar::Cache))
                .col(big_integer(Nar::Storage))
                .col(blob(Nar::FileHash))
                .col(text(Nar::Compression))
                .col(big_integer(Nar::FileSize))
                .col(blob(Nar::NarHash))
                .col(big_integer(Nar::NarSize))
                .col(boolean(Nar::Damaged))
                .col(big_integer(Nar::CreatedAt))
                .foreign_key(ForeignKey::create().from(Nar::Table, Nar::Cache).to(Cache::Table, Cache::Id))
                .foreign_key(
                    ForeignKey::create().from(Nar::Table, Nar::Storage).to(Storage::Table, Storage::Id),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("nar_file_hash")
                .table(Nar::Table)
                .col(Nar::Cache)
                .col(Nar::FileHash)
                .unique()
                .take(),
        )
        .await?;
    // Jobs work through a storage in the order of ids.
    manager
        .create_index(
            Index::create().name("nar_storage").table(Nar::Table).col(Nar::Storage).col(Nar::Id).take(),
        )
        .await?;
    // Covers the sums over a storage, so that they do not read the rows.
    manager
        .create_index(
            Index::create()
                .name("nar_usage")
                .table(Nar::Table)
                .col(Nar::Storage)
                .col(Nar::Damaged)
                .col(Nar::FileSize)
                .col(Nar::NarSize)
                .take(),
        )
        .await
}

async fn create_store_path(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(StorePath::Table)
                .col(big_pk_auto(StorePath::Id))
                .col(big_integer(StorePath::Cache))
                .col(blob(StorePath::Hash))
                .col(text(StorePath::Name))
                .col(big_integer(StorePath::Nar))
                .col(text_null(StorePath::Deriver))
                .col(text_null(StorePath::Ca))
                .col(text(StorePath::Signatures))
                .col(big_integer(StorePath::CreatedAt))
                .col(big_integer(StorePath::LastUsedAt))
                .foreign_key(
                    ForeignKey::create().from(StorePath::Table, StorePath::Cache).to(Cache::Table, Cache::Id),
                )
                .foreign_key(
                    ForeignKey::create().from(StorePath::Table, StorePath::Nar).to(Nar::Table, Nar::Id),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("store_path_hash")
                .table(StorePath::Table)
                .col(StorePath::Cache)
                .col(StorePath::Hash)
                .unique()
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("store_path_nar").table(StorePath::Table).col(StorePath::Nar).take(),
        )
        .await
}

async fn create_reference(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create()
        .table(Reference::Table)
        .col(big_integer(Reference::Path))
        .col(big_integer(Reference::Position))
        .col(blob(Reference::Hash))
        .col(text(Reference::Name))
        .primary_key(Index::create().col(Reference::Path).col(Reference::Position))
        .foreign_key(
            ForeignKey::create()
                .from(Reference::Table, Reference::Path)
                .to(StorePath::Table, StorePath::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take();
    // Garbage collection reads all references in the order of their paths. A SQLite table with row numbers would need a
    // second lookup for each. PostgreSQL has no such option and does not need it.
    if manager.get_database_backend() == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    manager.create_table(table).await?;
    // Garbage collection asks which paths refer to a path.
    manager
        .create_index(
            Index::create().name("reference_hash").table(Reference::Table).col(Reference::Hash).take(),
        )
        .await
}
