//! Indexes for people who browse a cache: its newest paths, its paths by name, and how it grew.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, Index, MigrationName, MigrationTrait, SchemaManager, async_trait,
};

/// Creates the indexes.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_001000_browse"
    }
}

#[derive(DeriveIden)]
enum StorePath {
    Table,
    Id,
    Cache,
    Hash,
    Name,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Nar {
    Table,
    Cache,
    CreatedAt,
    FileSize,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // New entries of this index and of the last one go to its end, so they cost a push next to nothing.
        manager
            .create_index(
                Index::create()
                    .name("store_path_created")
                    .table(StorePath::Table)
                    .col(StorePath::Cache)
                    .col(StorePath::CreatedAt)
                    .col(StorePath::Id)
                    .take(),
            )
            .await?;
        // Covers a search for a part of a name, which reads the whole index and must not read the rows, ten times its size.
        manager
            .create_index(
                Index::create()
                    .name("store_path_name")
                    .table(StorePath::Table)
                    .col(StorePath::Cache)
                    .col(StorePath::Name)
                    .col(StorePath::Hash)
                    .take(),
            )
            .await?;
        // Covers the sums by day.
        manager
            .create_index(
                Index::create()
                    .name("nar_created")
                    .table(Nar::Table)
                    .col(Nar::Cache)
                    .col(Nar::CreatedAt)
                    .col(Nar::FileSize)
                    .take(),
            )
            .await
    }
}
