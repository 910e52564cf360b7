use std::collections::HashMap;

use super::support::{Backend, Fixture, file_hash, new_nar, path_hash};
use crate::{CacheStats, CatalogError, MoveOutcome, NarId, NarRecord, PathCommit, PathHome, StorageStats};

async fn nars(fixture: &Fixture, after: Option<NarId>, limit: u64) -> Vec<NarRecord> {
    fixture.catalog.nars_on(fixture.first, after, limit).await.unwrap()
}

pub(super) async fn files_of_a_storage_are_listed_in_pages(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [3, 1, 2] {
        fixture.create(number, number).await;
    }
    let elsewhere = PathCommit { nar: new_nar(fixture.second, 4), ..fixture.commit(4, 4) };
    fixture.catalog.commit_path(elsewhere).await.unwrap();
    fixture.damage(1).await;
    let all = [fixture.nar(3).await, fixture.nar(1).await, fixture.nar(2).await];
    assert_eq!(nars(&fixture, None, 10).await, all);
    assert_eq!(nars(&fixture, None, 2).await, all[..2]);
    assert_eq!(nars(&fixture, Some(all[1].id), 2).await, all[2..]);
    assert_eq!(nars(&fixture, Some(all[2].id), 2).await, []);
    assert_eq!(
        fixture.catalog.storage_stats(fixture.first).await.unwrap(),
        StorageStats { nars: 3, file_bytes: 101 + 102 + 103, damaged_nars: 1, hidden_paths: 1 }
    );
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    assert_eq!(fixture.catalog.storage_stats(other.first).await.unwrap(), StorageStats::default());
}

pub(super) async fn a_moved_file_takes_its_paths_along(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    for (path, file) in [(1, 1), (2, 1), (3, 3)] {
        fixture.create(path, file).await;
    }
    let waiting = async || catalog.unpublished(None, 10).await.unwrap();
    let old = fixture.nar(1).await;
    let paths = catalog.paths_with_nar(old.id).await.unwrap();
    assert_eq!(paths, [fixture.path(1).await, fixture.path(2).await]);
    // Who publishes one of them meanwhile writes beside the file that is about to go.
    let publishing = waiting().await.iter().map(|path| path.ticket).collect();
    let stats = catalog.cache_stats(fixture.cache).await.unwrap();

    let outcome = catalog.move_nar(old.id, fixture.first, fixture.second).await.unwrap();
    let MoveOutcome::Moved { nar, paths } = outcome else { panic!("{outcome:?}") };
    assert_ne!(nar, old.id);
    assert_eq!(paths, [1, 2].map(path_hash));
    assert_eq!(fixture.nar(1).await, NarRecord { id: nar, storage: fixture.second, ..old });
    catalog.mark_published(publishing).await.unwrap();
    let unpublished: Vec<_> = waiting().await.into_iter().map(|waiting| waiting.path).collect();
    assert_eq!(unpublished, [fixture.path(1).await, fixture.path(2).await]);
    assert!(unpublished.iter().all(|path| path.nar.id == nar));
    assert_eq!(catalog.paths_with_nar(old.id).await.unwrap(), []);
    assert_eq!(catalog.paths_with_nar(nar).await.unwrap(), unpublished);

    // Nothing else changes.
    assert_eq!(catalog.cache_stats(fixture.cache).await.unwrap(), stats);
    assert_eq!(catalog.storage_used(fixture.first).await.unwrap(), 103);
    assert_eq!(catalog.storage_used(fixture.second).await.unwrap(), 101);
    // A reader had the old place open.
    assert_eq!(catalog.damage(old.id).await.unwrap(), []);
    assert_eq!(fixture.visible().await, [1, 2, 3].map(path_hash));
}

pub(super) async fn a_file_without_paths_can_be_moved(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let unavailable = vec![fixture.first];
    let elsewhere = PathCommit { nar: new_nar(fixture.second, 2), unavailable, ..fixture.commit(1, 2) };
    fixture.catalog.commit_path(elsewhere).await.unwrap();
    let left = fixture.nar(1).await.id;
    let outcome = fixture.catalog.move_nar(left, fixture.first, fixture.second).await.unwrap();
    assert!(matches!(&outcome, MoveOutcome::Moved { paths, .. } if paths.is_empty()), "{outcome:?}");
    assert_eq!(nars(&fixture, None, 10).await, []);
}

pub(super) async fn a_file_that_is_not_there_any_more_is_not_moved(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 2).await;
    let (damaged, sound) = (fixture.nar(1).await, fixture.nar(2).await);
    fixture.damage(1).await;
    let move_nar = |nar, from, to| fixture.catalog.move_nar(nar, from, to);
    assert_eq!(move_nar(damaged.id, fixture.first, fixture.second).await.unwrap(), MoveOutcome::Gone);
    assert_eq!(move_nar(sound.id, fixture.second, fixture.first).await.unwrap(), MoveOutcome::Gone);
    let unknown = NarId(sound.id.0 + 1);
    assert_eq!(move_nar(unknown, fixture.first, fixture.second).await.unwrap(), MoveOutcome::Gone);
    assert_eq!(nars(&fixture, None, 10).await, [NarRecord { damaged: true, ..damaged }, sound.clone()]);

    move_nar(sound.id, fixture.first, fixture.second).await.unwrap();
    assert_eq!(move_nar(sound.id, fixture.first, fixture.second).await.unwrap(), MoveOutcome::Gone);
}

pub(super) async fn a_file_is_moved_only_to_where_its_cache_can_use_it(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let nar = fixture.nar(1).await;
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    fixture.declare(&["first"]).await;
    for to in [other.first, fixture.second] {
        let error = fixture.catalog.move_nar(nar.id, fixture.first, to).await.unwrap_err();
        assert!(matches!(error, CatalogError::StorageNotInUse { storage } if storage == to), "{error}");
    }
    assert_eq!(fixture.nar(1).await, nar);
}

pub(super) async fn a_file_that_is_moved_off_a_vanished_storage_is_visible_again(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.declare(&["second"]).await;
    assert_eq!(fixture.visible().await, []);
    let nar = fixture.nar(1).await.id;
    fixture.catalog.move_nar(nar, fixture.first, fixture.second).await.unwrap();
    assert_eq!(fixture.visible().await, [path_hash(1)]);
    let stats = fixture.catalog.cache_stats(fixture.cache).await.unwrap();
    assert_eq!(stats, CacheStats { paths: 1, hidden_paths: 0, nars: 1, file_bytes: 101, nar_bytes: 1010 });
}

pub(super) async fn many_things_are_found_where_they_lie(backend: Backend) {
    let fixture = backend.fixture().await;
    let commits = (0..1500).map(|number| {
        let storage = if number % 2 == 0 { fixture.first } else { fixture.second };
        PathCommit { nar: new_nar(storage, number), references: vec![], ..fixture.commit(number, number) }
    });
    futures_util::future::try_join_all(commits.map(|commit| fixture.catalog.commit_path(commit)))
        .await
        .unwrap();
    fixture.damage(7).await;
    // In another cache that is another file.
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    other.create(2000, 2000).await;

    let hashes: Vec<_> = (0..2100).map(file_hash).collect();
    let nars = fixture.catalog.nar_homes(fixture.cache, &hashes).await.unwrap();
    assert_eq!(nars.len(), 1500);
    for number in [0, 7, 1499] {
        assert_eq!(nars[&file_hash(number)], fixture.nar(number).await);
    }
    let paths: Vec<_> = (0..2100).map(path_hash).collect();
    let homes = fixture.catalog.path_homes(fixture.cache, &paths).await.unwrap();
    let expected: HashMap<_, _> = (0..1500)
        .map(|number| {
            let nar = &nars[&file_hash(number)];
            let home = PathHome { storage: nar.storage, nar: nar.id, damaged: number == 7 };
            (path_hash(number), home)
        })
        .collect();
    assert_eq!(homes, expected);
    assert!(fixture.catalog.path_homes(fixture.cache, &[]).await.unwrap().is_empty());
}
