use super::support::{Backend, Fixture, file_hash, new_nar};
use crate::{CacheStats, PathCommit, StorageId};

async fn stats(fixture: &Fixture) -> CacheStats {
    fixture.catalog.cache_stats(fixture.cache).await.unwrap()
}

async fn used(fixture: &Fixture, storage: StorageId) -> u64 {
    fixture.catalog.storage_used(storage).await.unwrap()
}

pub(super) async fn an_empty_cache_holds_nothing(backend: Backend) {
    let fixture = backend.fixture().await;
    assert_eq!(stats(&fixture).await, CacheStats::default());
    assert_eq!(used(&fixture, fixture.first).await, 0);
}

pub(super) async fn shared_files_count_once(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    let elsewhere = PathCommit { nar: new_nar(fixture.second, 3), ..fixture.commit(3, 3) };
    fixture.catalog.commit_path(elsewhere).await.unwrap();
    let expected =
        CacheStats { paths: 3, hidden_paths: 0, nars: 2, file_bytes: 101 + 103, nar_bytes: 1010 + 1030 };
    assert_eq!(stats(&fixture).await, expected);
    assert_eq!(used(&fixture, fixture.first).await, 101);
    assert_eq!(used(&fixture, fixture.second).await, 103);

    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    other.create(1, 1).await;
    assert_eq!(stats(&fixture).await, expected);
    let both = [fixture.cache, other.cache];
    for (number, with_it) in [(1, &both[..]), (3, &both[..1]), (2, &[])] {
        let found = fixture.catalog.caches_with_nar(&both, &file_hash(number)).await.unwrap();
        assert_eq!(found, with_it.iter().copied().collect(), "file {number}");
    }
}

pub(super) async fn hidden_paths_count_apart(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    fixture.create(3, 3).await;
    fixture.damage(1).await;
    let expected = CacheStats { paths: 1, hidden_paths: 2, nars: 1, file_bytes: 103, nar_bytes: 1030 };
    assert_eq!(stats(&fixture).await, expected);
    // The damaged file may still take its room.
    assert_eq!(used(&fixture, fixture.first).await, 101 + 103);
}
