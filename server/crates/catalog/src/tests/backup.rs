use super::support::{Backend, Fixture};
use crate::{Catalog, CatalogError};

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

    let copy = Catalog::open(&format!("sqlite://{}", file.display())).await.unwrap();
    let copy = Fixture { catalog: copy, ..fixture.clone() };
    assert_eq!(copy.visible().await.len(), 49);
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
