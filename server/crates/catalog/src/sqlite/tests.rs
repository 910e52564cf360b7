#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::database::{Database, Pace};
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
    let writer = connections.writer().await;
    assert_eq!(pragma(writer.connection(), "journal_mode").await, "wal");
    assert_eq!(pragma(writer.connection(), "synchronous").await, "2");
    assert_eq!(pragma(writer.connection(), "foreign_keys").await, "1");
    assert_eq!(pragma(writer.connection(), "busy_timeout").await, "10000");
    let readers = connections.readers(Pace::Usual).await;
    let write = readers.execute_unprepared("CREATE TABLE t (x)");
    write.await.unwrap_err();
    let unhurried = connections.readers(Pace::Unhurried).await;
    unhurried.execute_unprepared("CREATE TABLE t (x)").await.unwrap_err();
}

/// How nice the threads are on which SQLite works.
fn niceness() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let stats =
        threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    // proc(5): the name in brackets, then the state as field 3; field 19 is the niceness.
    let of_sqlite = stats.filter(|stat| stat.contains("(sqlx-sqlite"));
    of_sqlite
        .map(|stat| stat.rsplit(')').next().unwrap().split(' ').nth(17).unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn unhurried_queries_yield_and_see_what_was_written() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let unhurried = fixture.catalog.unhurried();
    assert!(unhurried.find_path(fixture.cache, &path_hash(1)).await.unwrap().is_some());
    let own = niceness().into_iter().min().unwrap();
    let nicer = niceness().into_iter().filter(|nice| *nice > own).count();
    assert!(nicer >= 2, "{:?}", niceness());
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
async fn a_database_in_memory_is_refused() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://?mode=memory", "sqlite://file?mode=memory"]
    {
        let error = Catalog::open(url).await.unwrap_err();
        assert!(matches!(error, CatalogError::InMemory), "{error:?}");
    }
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

/// Has the next commit on the writer's connection fail such that SQLite rolls back by itself, as it does when the disk is
/// full or fails.
async fn fail_next_commit(fixture: &Fixture) {
    let mut connection = writer_pool(fixture).await.acquire().await.unwrap();
    connection.lock_handle().await.unwrap().set_commit_hook(|| false);
}

async fn writer_pool(fixture: &Fixture) -> sqlx::SqlitePool {
    let Database::Sqlite(database) = fixture.catalog.database() else { panic!("this is about SQLite") };
    database.writer().await.connection().get_sqlite_connection_pool().clone()
}

/// What another process sees, and whether it can lock the database.
async fn assert_durable(backend: &Backend, fixture: &Fixture, paths: &[u32]) {
    let other = Sqlite::connect(&format!("sqlite://{}", backend.sqlite_path().display())).await.unwrap();
    let writer = other.writer().await;
    let locked = writer.begin().await.unwrap();
    let rows = "SELECT count(*) FROM store_path".to_owned();
    let statement = Statement::from_string(locked.get_database_backend(), rows);
    let count: i64 = locked.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(count, i64::try_from(paths.len()).unwrap());
    locked.rollback().await.unwrap();
    drop(writer);
    other.close().await;
    assert_eq!(fixture.visible().await, paths.iter().copied().map(path_hash).collect::<Vec<_>>());
}

#[tokio::test]
async fn commits_that_fail_at_any_distance_lose_nothing_that_was_acknowledged() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    let mut acknowledged = Vec::new();
    for distance in [0, 0, 0, 1, 5, 0, 2] {
        for _ in 0..distance {
            let number = u32::try_from(acknowledged.len()).unwrap();
            fixture.create(number, number).await;
            acknowledged.push(number);
        }
        fail_next_commit(&fixture).await;
        fixture.catalog.commit_path(fixture.commit(99, 99)).await.unwrap_err();
        assert_durable(&backend, &fixture, &acknowledged).await;
    }
    fixture.create(99, 99).await;
    acknowledged.push(99);
    assert_durable(&backend, &fixture, &acknowledged).await;
}

#[tokio::test]
async fn everything_in_a_group_that_fails_is_answered_as_failed() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    fail_next_commit(&fixture).await;
    let commits = (0..20).map(|number| fixture.catalog.commit_path(fixture.commit(number, number)));
    let outcomes = futures_util::future::join_all(commits).await;
    let acknowledged: Vec<u32> =
        (0..20).filter(|number| outcomes[usize::try_from(*number).unwrap()].is_ok()).collect();
    assert!(acknowledged.len() < 20);
    assert_durable(&backend, &fixture, &acknowledged).await;
}

#[tokio::test]
async fn a_full_disk_is_temporary_and_said_plainly_and_afterwards_writes_work() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    let mut acknowledged = Vec::new();
    let mut number = 0;
    for _ in 0..3 {
        let writer = writer_pool(&fixture).await;
        sqlx::query("PRAGMA max_page_count = 1").execute(&writer).await.unwrap();
        let error = loop {
            match fixture.catalog.commit_path(fixture.commit(number, number)).await {
                Ok(_) => acknowledged.push(number),
                Err(error) => break error,
            }
            number += 1;
        };
        assert!(error.is_temporary(), "{error:?}");
        assert!(error.to_string().contains("state directory, is full"), "{error}");
        assert_durable(&backend, &fixture, &acknowledged).await;
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&writer).await.unwrap();
        fixture.create(number, number).await;
        acknowledged.push(number);
        number += 1;
    }
    assert_durable(&backend, &fixture, &acknowledged).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_written_to_is_temporary() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    let writer = writer_pool(&fixture).await;
    sqlx::query("PRAGMA query_only = 1").execute(&writer).await.unwrap();
    let error = fixture.catalog.commit_path(fixture.commit(1, 1)).await.unwrap_err();
    sqlx::query("PRAGMA query_only = 0").execute(&writer).await.unwrap();
    assert!(error.is_temporary() && error.to_string().contains("read-only"), "{error}");
    fixture.create(1, 1).await;
    assert_durable(&backend, &fixture, &[1]).await;
}

#[tokio::test]
async fn a_write_that_panics_takes_no_other_with_it() {
    let backend = Backend::sqlite_file();
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let panics = fixture.catalog.write((), |_, ()| Box::pin(async { panic!("a test lets it panic") }));
    let outcome: Result<(), CatalogError> = panics.await;
    assert!(outcome.unwrap_err().is_temporary());
    fixture.create(2, 2).await;
    assert_durable(&backend, &fixture, &[1, 2]).await;
}
