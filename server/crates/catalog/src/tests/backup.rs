use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::support::{Backend, Fixture, declared_cache};
use crate::{Catalog, CatalogError, transfer};

pub(super) async fn a_backup_holds_all_that_was_committed(backend: Backend) {
    let fixture = backend.fixture().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("copy.sqlite");
    for number in 1..50 {
        fixture.create(number, number).await;
    }
    let size = fixture.catalog.backup(&file).await.unwrap();
    fixture.create(50, 50).await;
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size);

    let copy = Catalog::open_file(&file).await.unwrap();
    let copy = Fixture { catalog: copy, ..fixture.clone() };
    assert_eq!(copy.visible().await.len(), 49);
    for number in 1..50 {
        assert_eq!(copy.path(number).await, fixture.path(number).await);
    }
    copy.catalog.close().await;
}

pub(super) async fn a_backup_never_replaces_a_file(backend: Backend) {
    let fixture = backend.fixture().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("precious");
    std::fs::write(&file, "precious").unwrap();
    let error = fixture.catalog.backup(&file).await.unwrap_err();
    assert!(matches!(error, CatalogError::Create { .. }), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let nowhere = directory.path().join("missing/copy");
    assert!(fixture.catalog.backup(&nowhere).await.is_err());
}

pub(super) async fn a_backup_is_restored_to_any_kind_of_empty_database(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in 1..20 {
        fixture.create(number, number).await;
    }
    let identity = fixture.catalog.identity().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("copy.sqlite");
    fixture.catalog.backup(&file).await.unwrap();
    for target in [Backend::sqlite_file(), Backend::postgres()] {
        Catalog::load_backup(target.url(), &file).await.unwrap();
        let restored = Fixture { catalog: target.open().await, ..fixture.clone() };
        assert_eq!(restored.catalog.identity().await.unwrap(), identity);
        assert_eq!(restored.visible().await, fixture.visible().await);
        for number in 1..20 {
            assert_eq!(restored.path(number).await, fixture.path(number).await);
        }
        // New rows get new numbers.
        let path = restored.create(20, 20).await;
        assert!(path > restored.path(19).await.id);
        restored
            .catalog
            .reconcile_caches(&[declared_cache("main"), declared_cache("another")])
            .await
            .unwrap();
        restored.catalog.close().await;
        let again = Catalog::load_backup(target.url(), &file).await.unwrap_err();
        assert!(matches!(again, CatalogError::NotEmpty), "{again}");
    }
}

/// A table that a migration adds has to be added to the list of tables that are copied.
pub(super) async fn every_table_is_copied(backend: Backend) {
    let catalog = backend.open().await;
    let (database, question) = match backend.is_sqlite() {
        true => (
            DbBackend::Sqlite,
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        ),
        false => (
            DbBackend::Postgres,
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = current_schema()",
        ),
    };
    let rows = catalog.readers().query_all_raw(Statement::from_string(database, question)).await.unwrap();
    let names = rows.iter().map(|row| row.try_get::<String>("", "name").unwrap());
    let present: BTreeSet<String> = names.filter(|name| name != "seaql_migrations").collect();
    assert_eq!(present, transfer::tables().into_iter().map(str::to_owned).collect());
}
