//! Sessions of people who have logged in to the web pages.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, blob, text};

/// Creates the table.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_001010_web_sessions"
    }
}

#[derive(DeriveIden)]
enum WebSession {
    Table,
    Id,
    Token,
    CreatedAt,
    ExpiresAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(WebSession::Table)
                    .col(blob(WebSession::Id).primary_key())
                    .col(text(WebSession::Token))
                    .col(big_integer(WebSession::CreatedAt))
                    .col(big_integer(WebSession::ExpiresAt))
                    .take(),
            )
            .await
    }
}
