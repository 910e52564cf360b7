//! Which paths have an incomplete closure, and what upstreams have of the closures of a cache.

use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, DeriveIden, Index, MigrationName, MigrationTrait, SchemaManager, Table,
    async_trait,
};
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, blob_null, text};

/// Adds a column to paths, and the table of paths that are elsewhere.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261130_001200_closures"
    }
}

#[derive(DeriveIden)]
enum StorePath {
    Table,
    MissingReference,
}

#[derive(DeriveIden)]
enum PathElsewhere {
    Table,
    Cache,
    Hash,
    Name,
    Source,
    Sister,
    NotedAt,
    LookedAt,
    MissingSince,
}

/// Few paths have an incomplete closure, so the index holds only those.
const INDEX: &str = "CREATE INDEX store_path_missing_reference ON store_path (cache, missing_reference) \
                     WHERE missing_reference IS NOT NULL";

/// Marks the paths that refer to something that clients cannot get from their cache.
const MARK_FIRST: &str = "UPDATE store_path SET missing_reference = \
    (SELECT r.hash FROM reference AS r WHERE r.path = store_path.id AND r.hash <> store_path.hash \
     AND NOT EXISTS (SELECT 1 FROM store_path AS t JOIN nar AS n ON n.id = t.nar JOIN storage AS s ON s.id = n.storage \
        WHERE t.cache = store_path.cache AND t.hash = r.hash AND NOT n.damaged AND s.enabled) \
     ORDER BY r.position LIMIT 1) \
    WHERE id IN (SELECT r.path FROM reference AS r JOIN store_path AS p ON p.id = r.path WHERE r.hash <> p.hash \
     AND NOT EXISTS (SELECT 1 FROM store_path AS t JOIN nar AS n ON n.id = t.nar JOIN storage AS s ON s.id = n.storage \
        WHERE t.cache = p.cache AND t.hash = r.hash AND NOT n.damaged AND s.enabled))";

/// Marks the paths that refer to a marked one.
const MARK_NEXT: &str = "UPDATE store_path SET missing_reference = \
    (SELECT r.hash FROM reference AS r JOIN store_path AS t ON t.cache = store_path.cache AND t.hash = r.hash \
     WHERE r.path = store_path.id AND r.hash <> store_path.hash AND t.missing_reference IS NOT NULL \
     ORDER BY r.position LIMIT 1) \
    WHERE missing_reference IS NULL AND EXISTS \
    (SELECT 1 FROM reference AS r JOIN store_path AS t ON t.cache = store_path.cache AND t.hash = r.hash \
     WHERE r.path = store_path.id AND r.hash <> store_path.hash AND t.missing_reference IS NOT NULL)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = blob_null(StorePath::MissingReference);
        manager.alter_table(Table::alter().table(StorePath::Table).add_column(column).take()).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(MARK_FIRST).await?;
        while connection.execute_unprepared(MARK_NEXT).await?.rows_affected() > 0 {}
        connection.execute_unprepared(INDEX).await?;
        manager
            .create_table(
                Table::create()
                    .table(PathElsewhere::Table)
                    .col(big_integer(PathElsewhere::Cache))
                    .col(blob(PathElsewhere::Hash))
                    .col(text(PathElsewhere::Name))
                    .col(text(PathElsewhere::Source))
                    .col(big_integer_null(PathElsewhere::Sister))
                    .col(big_integer(PathElsewhere::NotedAt))
                    .col(big_integer(PathElsewhere::LookedAt))
                    .col(big_integer_null(PathElsewhere::MissingSince))
                    .primary_key(Index::create().col(PathElsewhere::Cache).col(PathElsewhere::Hash))
                    .take(),
            )
            .await?;
        // Those that nobody has looked for the longest come first.
        manager
            .create_index(
                Index::create()
                    .name("path_elsewhere_looked")
                    .table(PathElsewhere::Table)
                    .col(PathElsewhere::Cache)
                    .col(PathElsewhere::LookedAt)
                    .take(),
            )
            .await
    }
}
