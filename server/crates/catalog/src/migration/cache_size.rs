//! How large each cache was on each day.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait, SchemaManager,
    Table, async_trait,
};
use sea_orm_migration::schema::big_integer;

/// Creates the table of sizes.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261130_001300_cache_size"
    }
}

#[derive(DeriveIden)]
enum Cache {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum CacheSize {
    Table,
    Cache,
    Day,
    Paths,
    FileBytes,
    NarBytes,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(CacheSize::Table)
                    .col(big_integer(CacheSize::Cache))
                    .col(big_integer(CacheSize::Day))
                    .col(big_integer(CacheSize::Paths))
                    .col(big_integer(CacheSize::FileBytes))
                    .col(big_integer(CacheSize::NarBytes))
                    .primary_key(Index::create().col(CacheSize::Cache).col(CacheSize::Day))
                    .foreign_key(
                        ForeignKey::create()
                            .name("cache_size_cache")
                            .from(CacheSize::Table, CacheSize::Cache)
                            .to(Cache::Table, Cache::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .take(),
            )
            .await
    }
}
