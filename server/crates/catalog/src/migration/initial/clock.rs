//! The latest time that a daemon has seen.

use sea_orm_migration::prelude::{DbErr, SchemaManager, Table};
use sea_orm_migration::schema::big_integer;

use super::names::Clock;

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
