//! Random histories of pushes, reads, pins, passing time and collections, compared with an oracle that walks over all paths
//! to find out which must be alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tokio::runtime::Handle;

use super::support::{Backend, Fixture, path_hash, store_path};
use crate::entity::pin;
use crate::writer::Written;
use crate::{Keep, NewPin, PathCommit, TombstoneBatch, UnixTime};

const PATHS: u32 = 6;
const FILES: u32 = 4;
const HOUR: i64 = 3600;
/// How long what is unused is kept.
const KEPT: i64 = 72 * HOUR;

#[derive(Clone, Debug)]
enum Step {
    Push {
        path: u32,
        references: Vec<u32>,
    },
    Read {
        path: u32,
    },
    Pin {
        name: u8,
        path: u32,
        keep: Keep,
    },
    Unpin {
        name: u8,
    },
    Pass {
        hours: i64,
    },
    /// Collects, while that happens in between.
    Collect {
        meanwhile: Vec<Step>,
    },
}

fn keep() -> impl Strategy<Value = Keep> {
    prop_oneof![
        Just(Keep::All),
        Just(Keep::Forever),
        (0..6u32).prop_map(Keep::Days),
        (1..3u32).prop_map(Keep::Revisions),
    ]
}

/// What clients do.
fn deed() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..PATHS, prop::collection::vec(0..PATHS, 0..3))
            .prop_map(|(path, references)| Step::Push { path, references }),
        2 => (0..PATHS).prop_map(|path| Step::Read { path }),
        2 => (0..2u8, 0..PATHS, keep()).prop_map(|(name, path, keep)| Step::Pin { name, path, keep }),
        1 => (0..2u8).prop_map(|name| Step::Unpin { name }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => deed(),
        3 => (1..80i64).prop_map(|hours| Step::Pass { hours }),
        3 => prop::collection::vec(deed(), 0..3).prop_map(|meanwhile| Step::Collect { meanwhile }),
    ]
}

#[derive(Clone, Debug)]
struct Path {
    used: i64,
    references: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Pin {
    name: u8,
    path: u32,
    keep: Keep,
    created: i64,
}

/// What there must be.
struct Oracle {
    now: i64,
    paths: BTreeMap<u32, Path>,
    /// The oldest first.
    pins: Vec<Pin>,
    /// Files that were stored and not collected.
    files: BTreeSet<u32>,
}

impl Oracle {
    fn holds(&self, place: usize) -> bool {
        let pin = &self.pins[place];
        let newer = self.pins[place + 1..].iter().filter(|other| other.name == pin.name).count();
        match pin.keep {
            Keep::All | Keep::Forever => true,
            Keep::Days(days) => self.now < pin.created + i64::from(days) * 24 * HOUR,
            Keep::Revisions(revisions) => newer < revisions as usize,
        }
    }

    fn living(&self) -> BTreeSet<u32> {
        let used = self.paths.iter().filter(|(_, path)| path.used >= self.now - KEPT).map(|(path, _)| *path);
        let pinned =
            (0..self.pins.len()).filter(|&place| self.holds(place)).map(|place| self.pins[place].path);
        let mut open: Vec<u32> = used.chain(pinned).filter(|path| self.paths.contains_key(path)).collect();
        let mut living = BTreeSet::new();
        while let Some(path) = open.pop() {
            if living.insert(path) {
                let references = self.paths[&path].references.iter();
                open.extend(references.filter(|target| self.paths.contains_key(target)));
            }
        }
        living
    }

    fn dead(&self) -> BTreeSet<u32> {
        let living = self.living();
        self.paths.keys().filter(|path| !living.contains(path)).copied().collect()
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Push { path, references } => match self.paths.get_mut(path) {
                Some(path) => path.used = self.now,
                None => {
                    self.paths.insert(*path, Path { used: self.now, references: references.clone() });
                    self.files.insert(path % FILES);
                }
            },
            Step::Read { path } => {
                if let Some(path) = self.paths.get_mut(path) {
                    path.used = self.now;
                }
            }
            Step::Pin { name, path, keep } => {
                if !self.paths.contains_key(path) {
                    return;
                }
                self.pins.push(Pin { name: *name, path: *path, keep: *keep, created: self.now });
                if let Keep::Revisions(revisions) = keep {
                    let mut surplus = self.pins.iter().filter(|pin| pin.name == *name).count();
                    self.pins.retain(|pin| {
                        let oldest = pin.name == *name && surplus > *revisions as usize;
                        surplus -= usize::from(pin.name == *name);
                        !oldest
                    });
                }
            }
            Step::Unpin { name } => self.pins.retain(|pin| pin.name != *name),
            Step::Pass { hours } => self.now += hours * HOUR,
            Step::Collect { .. } => {}
        }
    }

    fn tombstone(&mut self, dead: &BTreeSet<u32>) {
        self.paths.retain(|path, _| !dead.contains(path));
        let needed: BTreeSet<u32> = self.paths.keys().map(|path| path % FILES).collect();
        self.files.retain(|file| needed.contains(file));
    }
}

pub(super) async fn no_history_loses_what_lives_or_keeps_what_is_dead(backend: Backend) {
    let catalog = backend.open().await;
    let histories = AtomicU32::new(0);
    tokio::task::block_in_place(|| {
        let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&prop::collection::vec(step(), 1..24), |steps| {
                Handle::current().block_on(async {
                    let name = format!("history-{}", histories.fetch_add(1, Ordering::Relaxed));
                    let fixture = Fixture::new(catalog.clone(), &name).await;
                    check(&fixture, &steps).await;
                });
                Ok(())
            })
            .unwrap();
    });
}

async fn check(fixture: &Fixture, steps: &[Step]) {
    let mut oracle =
        Oracle { now: 100 * 24 * HOUR, paths: BTreeMap::new(), pins: Vec::new(), files: BTreeSet::new() };
    for step in steps {
        if let Step::Collect { meanwhile } = step {
            collect(fixture, &mut oracle, meanwhile).await;
        } else {
            act(fixture, oracle.now, step).await;
            oracle.apply(step);
        }
        let expected: Vec<_> = oracle.paths.keys().copied().map(path_hash).collect();
        assert_eq!(fixture.visible().await, expected);
    }
}

async fn collect(fixture: &Fixture, oracle: &mut Oracle, meanwhile: &[Step]) {
    let catalog = &fixture.catalog;
    let (now, unused_since) = (UnixTime(oracle.now), UnixTime(oracle.now - KEPT));
    let census = catalog.census(fixture.cache, now).await.unwrap();
    let count = census.unused_since(unused_since);
    let dead = oracle.dead();
    let found: BTreeSet<_> = census.batches(count, 2).flatten().map(|path| path.hash).collect();
    assert_eq!(found, dead.iter().copied().map(path_hash).collect());

    for step in meanwhile {
        act(fixture, oracle.now, step).await;
        oracle.apply(step);
    }
    let dead: BTreeSet<u32> = dead.intersection(&oracle.dead()).copied().collect();
    let mut tombstoned = BTreeSet::new();
    for paths in census.batches(count, 2) {
        let batch = TombstoneBatch { cache: fixture.cache, paths, unused_since, now, trash: false };
        tombstoned.extend(catalog.tombstone_paths(batch).await.unwrap().tombstoned);
    }
    assert_eq!(tombstoned, dead.iter().copied().map(path_hash).collect());
    oracle.tombstone(&dead);
    super::gc::sweep(catalog, fixture).await;
    let stats = catalog.cache_stats(fixture.cache).await.unwrap();
    assert_eq!((stats.paths, stats.nars), (oracle.paths.len() as u64, oracle.files.len() as u64));
}

async fn act(fixture: &Fixture, now: i64, step: &Step) {
    let now = UnixTime(now);
    match step {
        Step::Push { path, references } => {
            let commit = PathCommit {
                references: references.iter().map(|&target| store_path(target)).collect(),
                created_at: now,
                ..fixture.commit(*path, path % FILES)
            };
            fixture.catalog.commit_path(commit).await.unwrap();
        }
        Step::Read { path } => {
            fixture.catalog.touch(vec![(fixture.cache, path_hash(*path), now)]).await.unwrap();
        }
        Step::Pin { name, path, keep } => {
            let pin = NewPin {
                cache: fixture.cache,
                name: name.to_string(),
                path: path_hash(*path),
                artifacts: Vec::new(),
                keep: *keep,
            };
            fixture.catalog.add_pin_at(pin, now).await.unwrap();
        }
        Step::Unpin { name } => unpin(fixture, name.to_string()).await,
        Step::Pass { .. } | Step::Collect { .. } => {}
    }
}

async fn unpin(fixture: &Fixture, name: String) {
    let unpin = fixture.catalog.write((fixture.cache, name), |transaction, (cache, name)| {
        Box::pin(async move {
            pin::Entity::delete_many()
                .filter(pin::Column::Cache.eq(*cache))
                .filter(pin::Column::Name.eq(name.as_str()))
                .exec(transaction)
                .await?;
            Ok(Written::quietly(()))
        })
    });
    unpin.await.unwrap();
}
