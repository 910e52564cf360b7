//! Issued access tokens.

use sea_orm_migration::prelude::{DbErr, SchemaManager, Table};
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, text};

use super::names::Token;

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
