//! Databases that were made before the first release.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::support::Backend;
use crate::CatalogError;

const EARLY: [&str; 11] = [
    "m20261122_000001_caches",
    "m20261122_000002_paths",
    "m20261122_000003_pins",
    "m20261122_000004_uploads",
    "m20261122_000005_tokens",
    "m20261122_000006_jobs",
    "m20261122_000007_tombstones",
    "m20261122_000008_locations",
    "m20261122_000009_deploy",
    "m20261122_000010_references",
    "m20261129_000011_clock",
];

pub(super) async fn an_early_database_is_adopted_as_it_is(backend: Backend) {
    let connection = backend.connect().await;
    make_early_database(&connection, &EARLY).await;
    let row =
        "INSERT INTO cache (name, enabled, public, created_at, turns) VALUES ('old', true, true, 7, '')";
    connection.execute_unprepared(row).await.unwrap();
    for _ in 0..2 {
        let catalog = backend.open().await;
        let caches = catalog.caches().await.unwrap();
        assert_eq!(caches.iter().map(|cache| cache.name.as_str()).collect::<Vec<_>>(), ["old"]);
        catalog.close().await;
    }

    let new = new_backend(&backend);
    new.open().await.close().await;
    let new = new.connect().await;
    assert_eq!(schema(&connection).await, schema(&new).await);
    assert_eq!(migrations(&connection).await, migrations(&new).await);
}

pub(super) async fn an_early_database_that_lacks_migrations_is_refused(backend: Backend) {
    let connection = backend.connect().await;
    make_early_database(&connection, &EARLY[..10]).await;
    let error = backend.try_open().await.unwrap_err();
    assert!(matches!(error, CatalogError::EarlyDatabase { applied: 10, of: 11 }), "{error:?}");
    assert_eq!(migrations(&connection).await, EARLY[..10]);
}

fn new_backend(like: &Backend) -> Backend {
    if like.is_sqlite() { Backend::sqlite_file() } else { Backend::postgres() }
}

async fn make_early_database(connection: &DatabaseConnection, migrations: &[&str]) {
    let schema = match connection.get_database_backend() {
        DbBackend::Sqlite => include_str!("early/sqlite.sql"),
        _ => include_str!("early/postgres.sql"),
    };
    connection.execute_unprepared(schema).await.unwrap();
    for name in migrations {
        let row = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 1)");
        connection.execute_unprepared(&row).await.unwrap();
    }
}

async fn migrations(connection: &DatabaseConnection) -> Vec<String> {
    texts(connection, "SELECT version FROM seaql_migrations ORDER BY version").await
}

/// Tables, columns, indexes and constraints, as the database describes them.
async fn schema(connection: &DatabaseConnection) -> Vec<String> {
    let queries: &[&str] = match connection.get_database_backend() {
        DbBackend::Sqlite => &["SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"],
        _ => &[
            "SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, is_nullable, column_default) \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
            "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        ],
    };
    let mut schema = Vec::new();
    for query in queries {
        let found = texts(connection, query).await;
        schema.extend(found.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    schema
}

async fn texts(connection: &DatabaseConnection, query: &str) -> Vec<String> {
    let statement = Statement::from_string(connection.get_database_backend(), query.to_owned());
    let rows = connection.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
