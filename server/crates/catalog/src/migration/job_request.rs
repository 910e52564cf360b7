//! What a job that has to be resumed was asked for.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::text_null;

/// Adds the column to jobs.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000950_job_request"
    }
}

#[derive(DeriveIden)]
enum Job {
    Table,
    Request,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = text_null(Job::Request);
        manager.alter_table(Table::alter().table(Job::Table).add_column(column).take()).await
    }
}
