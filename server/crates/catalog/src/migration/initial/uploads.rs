//! Finished and open uploads.

use sea_orm_migration::prelude::{DbErr, ForeignKey, Index, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, blob, blob_null, text};

use super::names::{Cache, OpenUpload, Upload};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Upload::Table)
                .col(blob(Upload::NarId).primary_key())
                .col(big_integer(Upload::Cache))
                .col(blob(Upload::PathHash))
                .col(big_integer(Upload::FinishedAt))
                .foreign_key(
                    ForeignKey::create().from(Upload::Table, Upload::Cache).to(Cache::Table, Cache::Id),
                )
                .take(),
        )
        .await?;
    // Old rows are deleted by age.
    manager
        .create_index(
            Index::create().name("upload_finished_at").table(Upload::Table).col(Upload::FinishedAt).take(),
        )
        .await?;

    manager
        .create_table(
            Table::create()
                .table(OpenUpload::Table)
                .col(blob(OpenUpload::NarId).primary_key())
                .col(big_integer(OpenUpload::Cache))
                .col(text(OpenUpload::Owner))
                .col(blob_null(OpenUpload::FileHash))
                .col(big_integer(OpenUpload::CreatedAt))
                .foreign_key(
                    ForeignKey::create()
                        .from(OpenUpload::Table, OpenUpload::Cache)
                        .to(Cache::Table, Cache::Id),
                )
                .take(),
        )
        .await?;
    // An upload that arrived in one piece is found by the hash of its file.
    manager
        .create_index(
            Index::create()
                .name("open_upload_file")
                .table(OpenUpload::Table)
                .col(OpenUpload::Cache)
                .col(OpenUpload::FileHash)
                .take(),
        )
        .await
}
