#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::sqlite::Sqlite;
use crate::tests::support::{Backend, Fixture, path_hash};
use crate::{Catalog, CatalogError};

async fn pragma(connection: &DatabaseConnection, name: &str) -> String {
    let backend = connection.get_database_backend();
    let statement = Statement::from_string(backend, format!("PRAGMA {name}"));
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    let number = row.try_get_by_index::<i64>(0).map(|number| number.to_string());
    number.or_else(|_| row.try_get_by_index(0)).unwrap()
}

#[tokio::test]
async fn commits_reach_the_disk_and_foreign_keys_hold() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let connections = Sqlite::connect(&url).await.unwrap();
    assert_eq!(pragma(&connections.writer, "journal_mode").await, "wal");
    assert_eq!(pragma(&connections.writer, "synchronous").await, "2");
    assert_eq!(pragma(&connections.writer, "foreign_keys").await, "1");
    assert_eq!(pragma(&connections.writer, "busy_timeout").await, "10000");
    let write = connections.readers.execute_unprepared("CREATE TABLE t (x)");
    write.await.unwrap_err();
}

#[tokio::test]
async fn only_the_owner_can_read_the_database() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let database = backend.sqlite_path();
    for entry in database.parent().unwrap().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    let directory = database.parent().unwrap().metadata().unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_closed_database_is_one_file() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.visible().await;
    fixture.catalog.close().await;
    let directory = backend.sqlite_path();
    let entries = directory.parent().unwrap().read_dir().unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["catalog.db"]);
}

#[tokio::test]
async fn a_database_in_memory_leaves_no_file() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://?mode=memory"] {
        let fixture = Fixture::new(Catalog::open(url).await.unwrap(), "main").await;
        fixture.create(1, 1).await;
        assert_eq!(fixture.visible().await, [path_hash(1)]);
    }
    let left = std::env::current_dir().unwrap().read_dir().unwrap();
    let left = left.map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("memory")));
}

/// What a power cut leaves is what was synced; here, what is in the files while the catalog is still open.
#[tokio::test]
async fn acknowledged_commits_are_in_the_files_when_the_power_fails() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    for number in 0..10 {
        fixture.create(number, number).await;
    }
    let left = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("catalog.db{suffix}");
        let from = backend.sqlite_path().with_file_name(&name);
        std::fs::copy(from, left.path().join(&name)).unwrap();
    }
    let url = format!("sqlite://{}", left.path().join("catalog.db").display());
    let catalog = Catalog::open(&url).await.unwrap();
    for number in 0..10 {
        let found = catalog.find_path(fixture.cache, &path_hash(number)).await;
        assert!(found.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.db");
    std::fs::write(&path, "just some text, long enough to have a header ".repeat(40)).unwrap();
    let error = Catalog::open(&format!("sqlite://{}", path.display())).await.unwrap_err();
    assert!(matches!(error, CatalogError::Open { .. }), "{error}");
    assert!(error.to_string().contains("catalog.db"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let path = directory.path().join("file/state/catalog.db");
    let error = Catalog::open(&format!("sqlite://{}", path.display())).await.unwrap_err();
    assert!(matches!(error, CatalogError::Create { .. }), "{error}");
}
