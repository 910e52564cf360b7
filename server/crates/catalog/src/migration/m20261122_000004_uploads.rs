//! Finished uploads, and those that are open.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table,
    async_trait,
};
use sea_orm_migration::schema::{big_integer, blob, blob_null, text};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
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
        // They are forgotten by age.
        manager
            .create_index(
                Index::create()
                    .name("upload_finished_at")
                    .table(Upload::Table)
                    .col(Upload::FinishedAt)
                    .take(),
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
        // Those that came in one piece are found by their file.
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
}

#[derive(DeriveIden)]
enum Cache {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Upload {
    Table,
    NarId,
    Cache,
    PathHash,
    FinishedAt,
}

#[derive(DeriveIden)]
enum OpenUpload {
    Table,
    NarId,
    Cache,
    Owner,
    FileHash,
    CreatedAt,
}
