//! Values in the database that this program never writes.

use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

use super::support::{Backend, Fixture, path_hash};
use crate::{CatalogError, Keep, NewPin, StorageJob, TokenRecord, TokenScope, UnixTime};

/// What reads the value, once it is damaged.
type Read = fn(&Fixture) -> futures_util::future::BoxFuture<'_, CatalogError>;

/// Asserts an error and returns it.
macro_rules! failing {
    ($fixture:ident => $call:expr) => {
        |$fixture| Box::pin(async move { $call.await.map(|_| ()).unwrap_err() })
    };
}

pub(super) async fn a_damaged_value_is_an_error_that_names_table_and_column(backend: Backend) {
    let fixture = backend.fixture().await;
    fill(&fixture).await;
    let connection = backend.connect().await;
    let bytes = match connection.get_database_backend() {
        DbBackend::Sqlite => "x'0102'",
        _ => "'\\x0102'::bytea",
    };
    let find_path: Read = failing!(fixture => fixture.catalog.find_path(fixture.cache, &path_hash(1)));
    let list_paths: Read = failing!(fixture => fixture.catalog.list_paths(fixture.cache, None, 9));
    let list_pins: Read = failing!(fixture => fixture.catalog.list_pins(fixture.cache));
    let tokens: Read = failing!(fixture => fixture.catalog.tokens());
    let keys: Read = failing!(fixture => fixture.catalog.signing_keys(fixture.cache));
    let census: Read = failing!(fixture => fixture.catalog.census(fixture.cache, UnixTime(0)));
    let job: Read = failing!(fixture => fixture.catalog.job_state(fixture.first, StorageJob::Scrub));
    for (table, column, value, found, read) in [
        ("store_path", "hash", bytes, "2 bytes", list_paths),
        ("store_path", "hash", bytes, "values that do not belong there", census),
        ("store_path", "name", "'a/b'", "\"a/b\"", find_path),
        ("reference", "hash", bytes, "2 bytes", find_path),
        ("nar", "file_hash", bytes, "2 bytes", find_path),
        ("nar", "compression", "'rot13'", "\"rot13\"", find_path),
        ("nar", "nar_size", "-1", "-1", find_path),
        ("pin", "revision", "-1", "-1", list_pins),
        ("pin", "artifacts", "'{'", "text that is not a JSON list of strings", list_pins),
        ("pin", "keep_days", "4294967296", "4294967296", list_pins),
        ("token", "id", bytes, "2 bytes", tokens),
        ("token", "permission", "'dance'", "\"dance\"", tokens),
        ("token", "caches", "'[]'", "0 names", tokens),
        ("signing_key", "public_key", bytes, "2 bytes", keys),
        ("signing_key", "origin", "'moon'", "\"moon\"", keys),
        ("storage_job", "damaged", "-2", "-2", job),
    ] {
        let original = format!("CREATE TABLE saved AS SELECT * FROM {table}");
        connection.execute_unprepared(&original).await.unwrap();
        // Twins would break unique indexes, so one row of each table is damaged.
        let one = format!("{column} = (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)");
        let damage = format!("UPDATE {table} SET {column} = {value} WHERE {one}");
        connection.execute_unprepared(&damage).await.unwrap();
        let text = read(&fixture).await.to_string();
        let expected = format!("the catalog is damaged: column {column} of {table} holds {found}");
        assert!(text.starts_with(&expected), "{text} instead of {expected}");
        let back = format!(
            "UPDATE {table} SET {column} = (SELECT {column} FROM saved ORDER BY {column} LIMIT 1) \
             WHERE {column} = {value}"
        );
        connection.execute_unprepared(&back).await.unwrap();
        connection.execute_unprepared("DROP TABLE saved").await.unwrap();
    }
    list_is_sound(&fixture).await;
}

/// Puts something into each table that is damaged.
async fn fill(fixture: &Fixture) {
    let catalog = &fixture.catalog;
    fixture.create(1, 1).await;
    let pin = NewPin {
        cache: fixture.cache,
        name: "v1".to_owned(),
        path: path_hash(1),
        artifacts: vec!["bin".to_owned()],
        keep: Keep::Days(3),
    };
    catalog.add_pin(pin).await.unwrap();
    let token = TokenRecord {
        id: Uuid::from_u128(2),
        subject: "ci".to_owned(),
        scope: TokenScope::Agent("web".to_owned()),
        created_at: UnixTime(1),
        expires_at: None,
        revoked_at: None,
        daily_limit: None,
    };
    catalog.insert_token(token).await.unwrap();
    catalog.add_server_key(fixture.cache, "main-1", [7; 32]).await.unwrap();
    let state = crate::JobState {
        after: None,
        started_at: UnixTime(1),
        finished_at: None,
        files: 1,
        bytes: 101,
        damaged: 0,
        failed: 0,
    };
    catalog.save_job_state(fixture.first, StorageJob::Scrub, state).await.unwrap();
}

async fn list_is_sound(fixture: &Fixture) {
    fixture.catalog.list_paths(fixture.cache, None, 9).await.unwrap();
    fixture.catalog.tokens().await.unwrap();
    fixture.catalog.list_pins(fixture.cache).await.unwrap();
}
