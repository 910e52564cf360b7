//! Random histories of commits, damage, healing, moves, and storages that come and go, compared with a model that is too
//! simple to be wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Handle;

use super::support::{Backend, Fixture, file_hash, new_nar, path_hash};
use crate::{
    CacheStats, CatalogError, CommitOutcome, MoveOutcome, PathCommit, ReplacedNar, StorageId, StorageStats,
};

const PATHS: u32 = 4;
const FILES: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Commit { path: u32, file: u32, to: Place, unavailable: Option<Place> },
    Damage { file: u32 },
    Move { file: u32, from: Place, to: Place },
    Declare { second: bool },
}

/// The storages. The first is always declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Second,
}

impl Place {
    fn id(self, fixture: &Fixture) -> StorageId {
        match self {
            Self::First => fixture.first,
            Self::Second => fixture.second,
        }
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::First), Just(Place::Second)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PATHS, 0..FILES, place(), prop::option::weighted(0.3, place()))
            .prop_map(|(path, file, to, unavailable)| Step::Commit { path, file, to, unavailable }),
        2 => (0..FILES).prop_map(|file| Step::Damage { file }),
        2 => (0..FILES, place(), place()).prop_map(|(file, from, to)| Step::Move { file, from, to }),
        1 => any::<bool>().prop_map(|second| Step::Declare { second }),
    ]
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Created(Vec<u32>, Option<Place>),
    AlreadyPresent,
    Healed(Vec<u32>, Option<Place>),
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct File {
    place: Place,
    damaged: bool,
}

struct Model {
    files: BTreeMap<u32, File>,
    /// The file of each path, and which commit it comes from.
    paths: BTreeMap<u32, (u32, usize)>,
    second_declared: bool,
}

impl Model {
    fn declared(&self, place: Place) -> bool {
        place == Place::First || self.second_declared
    }

    fn shows(&self, file: u32) -> bool {
        let File { place, damaged } = self.files[&file];
        !damaged && self.declared(place)
    }

    fn commit(
        &mut self,
        path: u32,
        file: u32,
        to: Place,
        unavailable: Option<Place>,
        number: usize,
    ) -> Outcome {
        let usable =
            |model: &Self, file: u32| model.shows(file) && Some(model.files[&file].place) != unavailable;
        let known = self.paths.get(&path).copied();
        if known.is_some_and(|(file, _)| usable(self, file)) {
            return Outcome::AlreadyPresent;
        }
        let mut replaced = None;
        if !(self.files.contains_key(&file) && usable(self, file)) {
            if !self.declared(to) {
                return Outcome::Refused;
            }
            replaced = self.files.insert(file, File { place: to, damaged: false }).map(|old| old.place);
        }
        let mut revealed = if replaced.is_some() { self.paths_of(file) } else { Vec::new() };
        revealed.retain(|other| *other != path);
        self.paths.insert(path, (file, number));
        match known {
            None => Outcome::Created(revealed, replaced),
            Some(_) => Outcome::Healed(revealed, replaced),
        }
    }

    fn paths_of(&self, file: u32) -> Vec<u32> {
        let uses = self.paths.iter().filter(|(_, uses)| uses.0 == file);
        uses.map(|(path, _)| *path).collect()
    }

    fn visible(&self) -> Vec<u32> {
        let visible = self.paths.iter().filter(|(_, uses)| self.shows(uses.0));
        visible.map(|(path, _)| *path).collect()
    }
}

pub(super) async fn every_history_follows_the_model(backend: Backend) {
    let catalog = backend.open().await;
    let histories = AtomicU32::new(0);
    tokio::task::block_in_place(|| {
        let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&prop::collection::vec(step(), 1..24), |steps| {
                // A cache of its own is as good as a database of its own.
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
    let mut model = Model { files: BTreeMap::new(), paths: BTreeMap::new(), second_declared: true };
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Commit { path, file, to, unavailable } => {
                let commit = PathCommit {
                    nar: new_nar(to.id(fixture), file),
                    signatures: vec![format!("commit:{number}")],
                    unavailable: unavailable.iter().map(|place| place.id(fixture)).collect(),
                    ..fixture.commit(path, file)
                };
                let outcome = fixture.catalog.commit_path(commit).await;
                let expected = model.commit(path, file, to, unavailable, number);
                assert_eq!(simplified(fixture, file, outcome), expected);
            }
            Step::Move { file, from, to } => {
                if let Some(known) = model.files.get(&file).copied() {
                    check_move(fixture, &mut model, file, known, from, to).await;
                }
            }
            Step::Declare { second } => {
                model.second_declared = second;
                fixture.declare(if second { &["first", "second"] } else { &["first"] }).await;
            }
            Step::Damage { file } => {
                if let Some(known) = model.files.get_mut(&file) {
                    known.damaged = true;
                    let hidden = fixture.damage(file).await;
                    let expected = model.paths_of(file);
                    assert_eq!(hidden, expected.into_iter().map(path_hash).collect::<Vec<_>>());
                }
            }
        }
        compare(fixture, &model).await;
    }
}

async fn check_move(fixture: &Fixture, model: &mut Model, file: u32, known: File, from: Place, to: Place) {
    let old = fixture.nar(file).await.id;
    let outcome = fixture.catalog.move_nar(old, from.id(fixture), to.id(fixture)).await;
    if known.damaged || known.place != from {
        assert_eq!(outcome.unwrap(), MoveOutcome::Gone);
    } else if !model.declared(to) {
        assert!(matches!(outcome, Err(CatalogError::StorageNotInUse { .. })), "{outcome:?}");
    } else {
        model.files.insert(file, File { place: to, damaged: false });
        let Ok(MoveOutcome::Moved { nar, mut paths }) = outcome else { panic!("{outcome:?}") };
        paths.sort();
        assert_eq!(paths, model.paths_of(file).into_iter().map(path_hash).collect::<Vec<_>>());
        assert_eq!(nar, fixture.nar(file).await.id);
        assert_eq!(fixture.catalog.damage(old).await.unwrap(), []);
    }
}

fn simplified(fixture: &Fixture, file: u32, outcome: Result<CommitOutcome, CatalogError>) -> Outcome {
    let numbers = |hashes: Vec<nix_formats::StorePathHash>| {
        let mut numbers: Vec<_> = (0..PATHS).filter(|&path| hashes.contains(&path_hash(path))).collect();
        assert_eq!(numbers.len(), hashes.len());
        numbers.sort_unstable();
        numbers
    };
    let place = |replaced: ReplacedNar| {
        assert_eq!(replaced.file_size, u64::from(file) + 100);
        if replaced.storage == fixture.first { Place::First } else { Place::Second }
    };
    match outcome {
        Ok(CommitOutcome::Created { revealed, replaced, .. }) => {
            Outcome::Created(numbers(revealed), replaced.map(place))
        }
        Ok(CommitOutcome::AlreadyPresent(_)) => Outcome::AlreadyPresent,
        Ok(CommitOutcome::Healed { revealed, replaced, .. }) => {
            Outcome::Healed(numbers(revealed), replaced.map(place))
        }
        Err(CatalogError::StorageNotInUse { .. }) => Outcome::Refused,
        Err(error) => panic!("{error}"),
    }
}

async fn compare(fixture: &Fixture, model: &Model) {
    let catalog = &fixture.catalog;
    let visible: Vec<_> = model.visible().into_iter().map(path_hash).collect();
    assert_eq!(fixture.visible().await, visible);

    for path in 0..PATHS {
        let found = catalog.find_path(fixture.cache, &path_hash(path)).await.unwrap();
        let found = found.map(|record| {
            assert_eq!(record.references, fixture.commit(path, 0).references);
            (record.nar.file_hash, record.nar.storage, record.nar.damaged, record.signatures)
        });
        let expected = model.paths.get(&path).map(|(file, number)| {
            let File { place, damaged } = model.files[file];
            (file_hash(*file), place.id(fixture), damaged, vec![format!("commit:{number}")])
        });
        assert_eq!(found, expected);
    }

    let sound = || model.files.iter().filter(|(_, file)| !file.damaged);
    let size = |file: &u32| u64::from(*file) + 100;
    let expected = CacheStats {
        paths: visible.len() as u64,
        hidden_paths: (model.paths.len() - visible.len()) as u64,
        nars: sound().count() as u64,
        file_bytes: sound().map(|(file, _)| size(file)).sum(),
        nar_bytes: sound().map(|(file, _)| size(file) * 10).sum(),
    };
    assert_eq!(catalog.cache_stats(fixture.cache).await.unwrap(), expected);
    for place in [Place::First, Place::Second] {
        let files: Vec<_> = model.files.iter().filter(|(_, file)| file.place == place).collect();
        let expected = StorageStats {
            nars: files.len() as u64,
            file_bytes: files.iter().map(|(file, _)| size(file)).sum(),
            damaged_nars: files.iter().filter(|(_, file)| file.damaged).count() as u64,
            hidden_paths: files
                .iter()
                .filter(|(file, _)| !model.shows(**file))
                .map(|(file, _)| model.paths_of(**file).len() as u64)
                .sum(),
        };
        let storage = place.id(fixture);
        assert_eq!(catalog.storage_stats(storage).await.unwrap(), expected);
        assert_eq!(catalog.storage_used(storage).await.unwrap(), expected.file_bytes);
        let mut listed: Vec<_> =
            catalog.nars_on(storage, None, 10).await.unwrap().iter().map(|nar| nar.file_hash).collect();
        listed.sort();
        assert_eq!(listed, files.iter().map(|(file, _)| file_hash(**file)).collect::<Vec<_>>());
    }
}
