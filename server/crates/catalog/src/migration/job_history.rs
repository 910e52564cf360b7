//! The jobs that ran last.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, Index, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, text};

/// Creates the table of jobs.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000400_job_history"
    }
}

#[derive(DeriveIden)]
enum Job {
    Table,
    Node,
    Number,
    Info,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Job::Table)
                    .col(text(Job::Node))
                    .col(big_integer(Job::Number))
                    .col(text(Job::Info))
                    .primary_key(Index::create().col(Job::Node).col(Job::Number))
                    .take(),
            )
            .await
    }
}
