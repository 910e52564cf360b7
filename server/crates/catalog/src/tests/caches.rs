use super::support::{Backend, declared_cache, declared_storage};
use crate::{Catalog, DeclaredCache};

async fn declare(catalog: &Catalog, names: &[&str]) -> Vec<crate::CacheRecord> {
    let declared: Vec<_> = names.iter().map(|name| declared_cache(name)).collect();
    catalog.reconcile_caches(&declared).await.unwrap()
}

pub(super) async fn declared_caches_get_ids_that_stay(backend: Backend) {
    let catalog = backend.open().await;
    let before = declare(&catalog, &["b", "a"]).await;
    assert_eq!(before.iter().map(|cache| cache.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(declare(&catalog, &["a", "b"]).await, before);
}

pub(super) async fn a_cache_that_is_no_longer_declared_is_disabled_and_kept(backend: Backend) {
    let catalog = backend.open().await;
    let before = declare(&catalog, &["a", "b"]).await;
    let after = declare(&catalog, &["b"]).await;
    assert_eq!(after.len(), 2);
    assert_eq!((after[0].id, after[0].enabled), (before[0].id, false));
    assert_eq!(after[1], before[1]);
    assert_eq!(declare(&catalog, &["a", "b"]).await, before);
}

pub(super) async fn a_change_in_the_declaration_is_taken_over(backend: Backend) {
    let catalog = backend.open().await;
    let before = declare(&catalog, &["a"]).await;
    let changed = DeclaredCache { public: false, enabled: false, ..declared_cache("a") };
    let after = catalog.reconcile_caches(&[changed]).await.unwrap();
    assert_eq!(after[0].id, before[0].id);
    assert_eq!(after[0].created_at, before[0].created_at);
    assert!(!after[0].public && !after[0].enabled);
}

pub(super) async fn storages_belong_to_their_cache(backend: Backend) {
    let catalog = backend.open().await;
    let caches = declare(&catalog, &["a", "b"]).await;
    let declared = [declared_storage(caches[0].id, "disk"), declared_storage(caches[1].id, "disk")];
    let storages = catalog.reconcile_storages(&declared).await.unwrap();
    assert_eq!(storages.len(), 2);
    assert_ne!(storages[0].id, storages[1].id);
    assert_eq!(storages[0].cache, caches[0].id);
    assert_eq!(storages[1].cache, caches[1].id);
    assert_eq!(catalog.reconcile_storages(&declared).await.unwrap(), storages);
}

pub(super) async fn a_storage_that_is_no_longer_declared_is_disabled_and_kept(backend: Backend) {
    let catalog = backend.open().await;
    let cache = declare(&catalog, &["a"]).await[0].id;
    let both = [declared_storage(cache, "x"), declared_storage(cache, "y")];
    let before = catalog.reconcile_storages(&both).await.unwrap();
    let after = catalog.reconcile_storages(&both[1..]).await.unwrap();
    assert_eq!((after[0].id, after[0].enabled), (before[0].id, false));
    assert_eq!(after[1], before[1]);
    assert_eq!(catalog.reconcile_storages(&both).await.unwrap(), before);
}

pub(super) async fn nothing_declared_disables_everything(backend: Backend) {
    let fixture = backend.fixture().await;
    let caches = fixture.catalog.reconcile_caches(&[]).await.unwrap();
    assert!(caches.iter().all(|cache| !cache.enabled));
    let storages = fixture.catalog.reconcile_storages(&[]).await.unwrap();
    assert_eq!(storages.len(), 2);
    assert!(storages.iter().all(|storage| !storage.enabled));
}
