//! Those who push with a token of an OpenID provider, or with a certificate.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, Index, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, text, text_null};

/// Creates the table of sessions.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261130_001050_sessions"
    }
}

#[derive(DeriveIden)]
enum Session {
    Table,
    Id,
    Provider,
    Subject,
    Claims,
    Caches,
    Permission,
    CreatedAt,
    ExpiresAt,
    RevokedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Session::Table)
                    .col(blob(Session::Id).primary_key())
                    .col(text_null(Session::Provider))
                    .col(text(Session::Subject))
                    .col(text(Session::Claims))
                    .col(text(Session::Caches))
                    .col(text(Session::Permission))
                    .col(big_integer(Session::CreatedAt))
                    .col(big_integer(Session::ExpiresAt))
                    .col(big_integer_null(Session::RevokedAt))
                    .take(),
            )
            .await?;
        // They are listed while they last, and forgotten long after.
        manager
            .create_index(
                Index::create()
                    .name("session_expires_at")
                    .table(Session::Table)
                    .col(Session::ExpiresAt)
                    .take(),
            )
            .await
    }
}
