//! Which closures are complete, and what a cache relies on to be elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::support::{Backend, Fixture, path_hash, store_path};
use crate::{Deleted, Deletion, ElsewhereCounts, PathCommit, Restored, Seen, TombstoneBatch, UnixTime};

const NOW: UnixTime = UnixTime(2_000_000);

fn commit(fixture: &Fixture, path: u32, references: &[u32]) -> PathCommit {
    let references = references.iter().map(|target| store_path(*target)).collect();
    PathCommit { references, ..fixture.commit(path, path) }
}

async fn push(fixture: &Fixture, path: u32, references: &[u32]) {
    fixture.catalog.commit_path(commit(fixture, path, references)).await.unwrap();
}

fn seen(path: u32) -> Seen {
    Seen { path: store_path(path), source: "https://upstream.example/".to_owned(), sister: None }
}

async fn note(fixture: &Fixture, path: u32) {
    fixture.catalog.note_elsewhere(fixture.cache, vec![seen(path)], NOW, true).await.unwrap();
}

/// Those of the paths that are not complete.
async fn incomplete(fixture: &Fixture) -> Vec<u32> {
    let found = fixture.catalog.incomplete_paths(fixture.cache, 1000).await.unwrap();
    assert_eq!(found.len() as u64, fixture.catalog.count_incomplete(fixture.cache).await.unwrap());
    let number = |path: &crate::IncompletePath| {
        path.path.name().strip_prefix("path-").unwrap().parse::<u32>().unwrap()
    };
    let mut numbers: Vec<u32> = found.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

async fn delete(fixture: &Fixture, path: u32, recursive: bool) -> Deleted {
    let path = path_hash(path);
    let deletion = Deletion { cache: fixture.cache, path, recursive, now: NOW, trash: true };
    fixture.catalog.delete_path(deletion).await.unwrap()
}

pub(super) async fn a_path_is_complete_once_everything_below_it_is_there(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 1, &[2, 3, 1]).await;
    push(&fixture, 2, &[4]).await;
    push(&fixture, 3, &[]).await;
    assert_eq!(incomplete(&fixture).await, [1, 2]);
    assert_eq!(fixture.path(1).await.missing_reference, Some(path_hash(2)));
    let lacks = fixture.catalog.lacks_of(fixture.cache, &store_path(1), 10).await.unwrap();
    assert_eq!(lacks.len(), 1);
    assert_eq!((&lacks[0].path, &lacks[0].referrer), (&store_path(4), &store_path(2)));
    assert_eq!(fixture.catalog.wanted_references(fixture.cache, None, 10).await.unwrap(), [path_hash(4)]);
    push(&fixture, 4, &[4]).await;
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    assert_eq!(fixture.path(1).await.missing_reference, None);
    // That of another cache of the same daemon is no help.
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    push(&other, 2, &[4]).await;
    assert_eq!(incomplete(&other).await, [2]);
}

pub(super) async fn damage_breaks_closures_and_a_push_mends_them(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 3, &[]).await;
    push(&fixture, 2, &[3]).await;
    push(&fixture, 1, &[2]).await;
    fixture.damage(3).await;
    assert_eq!(incomplete(&fixture).await, [1, 2]);
    let lacks = fixture.catalog.lacks_of(fixture.cache, &store_path(1), 10).await.unwrap();
    assert!(lacks.len() == 1 && lacks[0].is_hidden && lacks[0].path == store_path(3), "{lacks:?}");
    push(&fixture, 3, &[]).await;
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    // So does a push of another path with the same file.
    fixture.damage(3).await;
    let twin = PathCommit { path: store_path(7), ..commit(&fixture, 3, &[]) };
    fixture.catalog.commit_path(twin).await.unwrap();
    assert_eq!(incomplete(&fixture).await, [0; 0]);
}

pub(super) async fn what_is_elsewhere_completes_a_closure_until_it_is_gone(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    push(&fixture, 1, &[2, 3]).await;
    note(&fixture, 3).await;
    assert_eq!(incomplete(&fixture).await, [1]);
    note(&fixture, 2).await;
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    let there = catalog.elsewhere_counts(fixture.cache).await.unwrap();
    assert_eq!(there, ElsewhereCounts { present: 2, missing: 0 });
    assert_eq!(catalog.only_elsewhere(fixture.cache, None, 10).await.unwrap().len(), 2);
    assert_eq!(catalog.not_looked_since(fixture.cache, UnixTime(NOW.0 + 1), 10).await.unwrap().len(), 2);
    assert!(catalog.not_looked_since(fixture.cache, NOW, 10).await.unwrap().is_empty());
    catalog.lost_elsewhere(fixture.cache, vec![path_hash(3)], UnixTime(NOW.0 + 5)).await.unwrap();
    assert_eq!(incomplete(&fixture).await, [1]);
    let gone = catalog.gone_elsewhere(fixture.cache, 10).await.unwrap();
    assert_eq!(gone[0].missing_since, Some(UnixTime(NOW.0 + 5)));
    let lost = catalog.elsewhere_counts(fixture.cache).await.unwrap();
    assert_eq!(lost, ElsewhereCounts { present: 1, missing: 1 });
    // It may come back, or be pushed.
    catalog.note_elsewhere(fixture.cache, vec![seen(3)], NOW, false).await.unwrap();
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    push(&fixture, 3, &[]).await;
    catalog.lost_elsewhere(fixture.cache, vec![path_hash(3)], NOW).await.unwrap();
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    // Notes go when they are of no use.
    push(&fixture, 2, &[]).await;
    note(&fixture, 9).await;
    let stale = catalog.needless_elsewhere(fixture.cache, NOW, 10).await.unwrap();
    assert_eq!(BTreeSet::from_iter(stale), BTreeSet::from([path_hash(2), path_hash(3)]));
    let stale = catalog.needless_elsewhere(fixture.cache, UnixTime(NOW.0 + 1), 10).await.unwrap();
    assert_eq!(stale.len(), 3);
    catalog.forget_elsewhere(fixture.cache, stale).await.unwrap();
    assert!(catalog.elsewhere_sources(fixture.cache).await.unwrap().is_empty());
    assert_eq!(incomplete(&fixture).await, [0; 0]);
}

pub(super) async fn a_storage_that_vanishes_breaks_closures_until_it_is_back(backend: Backend) {
    let fixture = backend.fixture().await;
    let mut on_second = commit(&fixture, 3, &[]);
    on_second.nar.storage = fixture.second;
    fixture.catalog.commit_path(on_second).await.unwrap();
    push(&fixture, 2, &[3]).await;
    push(&fixture, 1, &[2, 8]).await;
    note(&fixture, 8).await;
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    fixture.declare(&["first"]).await;
    assert_eq!(incomplete(&fixture).await, [1, 2]);
    fixture.declare(&["first", "second"]).await;
    assert_eq!(incomplete(&fixture).await, [0; 0]);
}

pub(super) async fn what_is_deleted_and_restored_is_counted(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 3, &[]).await;
    push(&fixture, 2, &[3]).await;
    push(&fixture, 1, &[2]).await;
    assert!(matches!(delete(&fixture, 3, false).await, Deleted::Needed { count: 1, .. }));
    assert!(matches!(delete(&fixture, 2, true).await, Deleted::Done { .. }));
    assert!(matches!(delete(&fixture, 3, false).await, Deleted::Done { .. }));
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    let restored = fixture.catalog.restore_path(fixture.cache, path_hash(1), NOW).await.unwrap();
    assert!(matches!(restored, Restored::Done { paths, .. } if paths.len() == 3));
    assert_eq!(incomplete(&fixture).await, [0; 0]);
    let Deleted::Done { paths, .. } = delete(&fixture, 3, true).await else { panic!() };
    assert_eq!(paths.len(), 3);
}

pub(super) async fn what_the_closures_of_another_cache_need_stays(backend: Backend) {
    let fixture = backend.fixture().await;
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    push(&fixture, 2, &[]).await;
    push(&other, 1, &[2]).await;
    let sister = Seen { source: "main".to_owned(), sister: Some(fixture.cache), ..seen(2) };
    other.catalog.note_elsewhere(other.cache, vec![sister], NOW, true).await.unwrap();
    assert_eq!(incomplete(&other).await, [0; 0]);
    let refused = delete(&fixture, 2, true).await;
    assert!(matches!(refused, Deleted::NeededElsewhere { cache, .. } if cache == "other"));
    let census = fixture.catalog.census(fixture.cache, NOW).await.unwrap();
    assert_eq!(census.unused_since(UnixTime(i64::MAX)), 0);
    let batch = TombstoneBatch {
        cache: fixture.cache,
        paths: vec![crate::GcPath { id: fixture.path(2).await.id, hash: path_hash(2) }],
        unused_since: UnixTime(i64::MAX),
        now: NOW,
        trash: false,
    };
    let outcome = fixture.catalog.tombstone_paths(batch).await.unwrap();
    assert_eq!(outcome.alive, [path_hash(2)]);
    other.catalog.forget_elsewhere(other.cache, vec![path_hash(2)]).await.unwrap();
    assert_eq!(incomplete(&other).await, [1]);
    assert!(matches!(delete(&fixture, 2, false).await, Deleted::Done { .. }));
}

/// Random histories, compared with a walk over everything.
pub(super) async fn closures_are_what_a_walk_over_them_finds(backend: Backend) {
    const PATHS: u64 = 9;
    let fixture = backend.fixture().await;
    let mut state: u64 = 0x1234_5678;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut here: BTreeMap<u32, (Vec<u32>, bool)> = BTreeMap::new();
    let mut elsewhere: BTreeSet<u32> = BTreeSet::new();
    for _ in 0..400 {
        let path = random(PATHS) as u32;
        match random(8) {
            0..=3 => {
                // Only to higher numbers, as there are no circles.
                let targets: Vec<u32> = (path + 1..PATHS as u32 + 2).filter(|_| random(3) == 0).collect();
                let is_visible = here.get(&path).is_some_and(|(_, is_damaged)| !is_damaged);
                push(&fixture, path, &targets).await;
                if !is_visible {
                    here.insert(path, (targets, false));
                }
            }
            4 if here.get(&path).is_some_and(|(_, is_damaged)| !is_damaged) => {
                fixture.damage(path).await;
                here.get_mut(&path).unwrap().1 = true;
            }
            5 => {
                note(&fixture, path).await;
                elsewhere.insert(path);
            }
            6 => {
                fixture.catalog.lost_elsewhere(fixture.cache, vec![path_hash(path)], NOW).await.unwrap();
                elsewhere.remove(&path);
            }
            7 => {
                if let Deleted::Done { paths, .. } = delete(&fixture, path, true).await {
                    here.retain(|number, _| paths.iter().all(|gone| gone.path != store_path(*number)));
                }
            }
            _ => {}
        }
        let mut complete: BTreeMap<u32, bool> = BTreeMap::new();
        for (number, (targets, _)) in here.iter().rev() {
            let is_had = |target: &u32| {
                elsewhere.contains(target)
                    || here.get(target).is_some_and(|(_, is_damaged)| !is_damaged) && complete[target]
            };
            let is_complete = targets.iter().all(is_had);
            complete.insert(*number, is_complete);
        }
        let expected: Vec<u32> =
            complete.into_iter().filter(|(_, is_complete)| !is_complete).map(|(number, _)| number).collect();
        assert_eq!(incomplete(&fixture).await, expected);
    }
}
