//! The realisations that lead to a path, which go with it.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, Index, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, blob, text};

/// Creates the table of realisations.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261130_001150_realisation"
    }
}

#[derive(DeriveIden)]
enum Realisation {
    Table,
    Cache,
    Name,
    Path,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Realisation::Table)
                    .col(big_integer(Realisation::Cache))
                    .col(text(Realisation::Name))
                    .col(blob(Realisation::Path))
                    .primary_key(Index::create().col(Realisation::Cache).col(Realisation::Name))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("realisation_path")
                    .table(Realisation::Table)
                    .col(Realisation::Cache)
                    .col(Realisation::Path)
                    .take(),
            )
            .await
    }
}
