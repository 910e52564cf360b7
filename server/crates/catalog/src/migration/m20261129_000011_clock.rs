//! When a daemon last knew the time.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::big_integer;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Clock::Table)
                    .col(big_integer(Clock::Id).primary_key())
                    .col(big_integer(Clock::SeenAt))
                    .take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum Clock {
    Table,
    Id,
    SeenAt,
}
