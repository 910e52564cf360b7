//! How much may be pushed with a token on one day.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::big_integer_null;

/// Adds the column to tokens.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000800_daily_limit"
    }
}

#[derive(DeriveIden)]
enum Token {
    Table,
    DailyLimit,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = big_integer_null(Token::DailyLimit);
        manager.alter_table(Table::alter().table(Token::Table).add_column(column).take()).await
    }
}
