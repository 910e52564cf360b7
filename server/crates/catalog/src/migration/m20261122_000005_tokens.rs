//! Issued tokens.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, text};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Token::Table)
                    .col(blob(Token::Id).primary_key())
                    .col(text(Token::Subject))
                    .col(text(Token::Caches))
                    .col(text(Token::Permission))
                    .col(big_integer(Token::CreatedAt))
                    .col(big_integer_null(Token::ExpiresAt))
                    .col(big_integer_null(Token::RevokedAt))
                    .take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum Token {
    Table,
    Id,
    Subject,
    Caches,
    Permission,
    CreatedAt,
    ExpiresAt,
    RevokedAt,
}
