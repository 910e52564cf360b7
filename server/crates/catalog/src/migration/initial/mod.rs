//! The initial schema, one file per group of tables.

mod caches;
mod clock;
mod deploy;
mod jobs;
mod names;
mod paths;
mod pins;
mod tokens;
mod tombstones;
mod uploads;

use sea_orm_migration::prelude::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait};

/// Creates all tables and indexes.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        super::INITIAL
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        caches::create(manager).await?;
        paths::create(manager).await?;
        pins::create(manager).await?;
        uploads::create(manager).await?;
        tokens::create(manager).await?;
        jobs::create(manager).await?;
        tombstones::create(manager).await?;
        deploy::create(manager).await?;
        clock::create(manager).await
    }
}
