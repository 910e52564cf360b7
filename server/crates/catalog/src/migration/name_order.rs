//! An index of names that PostgreSQL sorts byte by byte, as SQLite does: one in the order of a language can find neither the names that
//! begin with something nor the next ones after a page.

use sea_orm_migration::prelude::{DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Replaces the index.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261130_001450_name_order"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let connection = manager.get_connection();
        connection.execute_unprepared("DROP INDEX store_path_name").await?;
        connection
            .execute_unprepared(
                r#"CREATE INDEX store_path_name ON store_path (cache, (name COLLATE "C"), hash)"#,
            )
            .await
            .map(drop)
    }
}
