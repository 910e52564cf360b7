use super::support::{Backend, declared_cache};
use crate::{Catalog, DeclaredCache};

pub(super) async fn declare(catalog: &Catalog, names: &[&str]) -> Vec<crate::CacheRecord> {
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

pub(super) async fn nothing_declared_disables_everything(backend: Backend) {
    let fixture = backend.fixture().await;
    let caches = fixture.catalog.reconcile_caches(&[]).await.unwrap();
    assert!(caches.iter().all(|cache| !cache.enabled));
    let storages = fixture.catalog.reconcile_storages(&[]).await.unwrap();
    assert_eq!(storages.len(), 2);
    assert!(storages.iter().all(|storage| !storage.enabled));
}

pub(super) async fn turns_are_kept_whatever_is_declared(backend: Backend) {
    let catalog = backend.open().await;
    let caches = declare(&catalog, &["a", "b"]).await;
    assert_eq!((caches[0].turns.as_str(), caches[1].turns.as_str()), ("", ""));
    catalog.save_turns(caches[0].id, "x 1".to_owned()).await.unwrap();
    catalog.save_turns(caches[0].id, "x 2".to_owned()).await.unwrap();
    let caches = declare(&catalog, &["b"]).await;
    assert_eq!((caches[0].turns.as_str(), caches[1].turns.as_str()), ("x 2", ""));
    assert_eq!(declare(&catalog, &["a", "b"]).await[0].turns, "x 2");
}
