//! Caches that are forgotten.

use super::support::{Backend, Fixture, declared_cache, path_hash};
use crate::{Forgotten, Keep, KeyOrigin, NewPin, StorageJob, UnixTime};

/// Forgets the cache in small steps, and returns how many paths went with it.
async fn forget(fixture: &Fixture) -> u64 {
    let mut paths = 0;
    loop {
        match fixture.catalog.forget_cache(fixture.cache, 2).await.unwrap() {
            Forgotten::Paths(some) => paths += some,
            Forgotten::Cache => return paths,
            Forgotten::InUse => panic!("it is in use"),
        }
    }
}

pub(super) async fn a_cache_that_is_not_in_use_is_forgotten_with_all_it_had(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let other = Fixture::new(catalog.clone(), "other").await;
    for path in 1..=5 {
        fixture.create(path, path).await;
        other.create(path, path).await;
    }
    let pin = NewPin {
        cache: fixture.cache,
        name: "held".to_owned(),
        path: path_hash(1),
        artifacts: Vec::new(),
        keep: Keep::Forever,
    };
    catalog.add_pin(pin).await.unwrap();
    catalog.add_key(fixture.cache, "main-1", [7; 32], KeyOrigin::Added).await.unwrap();
    let state = crate::JobState {
        after: None,
        started_at: UnixTime(1),
        finished_at: None,
        files: 0,
        bytes: 0,
        damaged: 0,
        failed: 0,
    };
    catalog.save_job_state(fixture.first, StorageJob::Scrub, state).await.unwrap();
    assert_eq!(catalog.forget_cache(other.cache, 9).await.unwrap(), Forgotten::InUse);

    catalog.reconcile_caches(&[declared_cache("other")]).await.unwrap();
    assert_eq!(catalog.storages_of(fixture.cache).await.unwrap().len(), 2);
    assert_eq!(forget(&fixture).await, 5);
    let left: Vec<String> = catalog.caches().await.unwrap().into_iter().map(|cache| cache.name).collect();
    assert_eq!(left, ["other"]);
    assert_eq!(catalog.storages_of(fixture.cache).await.unwrap(), []);
    assert_eq!(catalog.signing_keys(fixture.cache).await.unwrap(), []);
    assert_eq!(forget(&fixture).await, 0, "once more changes nothing");
    assert_eq!(other.visible().await.len(), 5);

    // Declared again it begins anew.
    let caches = catalog.reconcile_caches(&[declared_cache("main"), declared_cache("other")]).await.unwrap();
    assert_ne!(caches[0].id, fixture.cache);
}
