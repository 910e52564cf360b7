//! Random histories of commits, damage and healing, compared with a model that is too simple to be wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Handle;

use super::support::{Backend, Fixture, file_hash, new_nar, path_hash};
use crate::{CacheStats, CommitOutcome, PathCommit, StorageId};

const PATHS: u32 = 4;
const FILES: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Commit { path: u32, file: u32, second: bool },
    Damage { file: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..PATHS, 0..FILES, any::<bool>())
            .prop_map(|(path, file, second)| Step::Commit { path, file, second }),
        1 => (0..FILES).prop_map(|file| Step::Damage { file }),
    ]
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Created(Vec<u32>),
    AlreadyPresent,
    Healed(Vec<u32>),
}

#[derive(Clone, Copy, Debug)]
struct File {
    storage: StorageId,
    damaged: bool,
}

#[derive(Default)]
struct Model {
    files: BTreeMap<u32, File>,
    /// The file of each path, and which commit it comes from.
    paths: BTreeMap<u32, (u32, usize)>,
}

impl Model {
    fn commit(&mut self, path: u32, file: u32, storage: StorageId, number: usize) -> Outcome {
        let known = self.paths.get(&path).copied();
        if known.is_some_and(|(file, _)| !self.files[&file].damaged) {
            return Outcome::AlreadyPresent;
        }
        let entry = self.files.entry(file).or_insert(File { storage, damaged: false });
        let mended = entry.damaged;
        if mended {
            *entry = File { storage, damaged: false };
        }
        let revealed = self
            .paths
            .iter()
            .filter(|(other, uses)| mended && uses.0 == file && **other != path)
            .map(|(other, _)| *other)
            .collect();
        self.paths.insert(path, (file, number));
        match known {
            None => Outcome::Created(revealed),
            Some(_) => Outcome::Healed(revealed),
        }
    }

    fn paths_of(&self, file: u32) -> Vec<u32> {
        let uses = self.paths.iter().filter(|(_, uses)| uses.0 == file);
        uses.map(|(path, _)| *path).collect()
    }

    fn visible(&self) -> Vec<u32> {
        let visible = self.paths.iter().filter(|(_, uses)| !self.files[&uses.0].damaged);
        visible.map(|(path, _)| *path).collect()
    }
}

pub(super) async fn commits_damage_and_healing_follow_the_model(backend: Backend) {
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
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Commit { path, file, second } => {
                let storage = if second { fixture.second } else { fixture.first };
                let commit = PathCommit {
                    nar: new_nar(storage, file),
                    signatures: vec![format!("commit:{number}")],
                    ..fixture.commit(path, file)
                };
                let outcome = fixture.catalog.commit_path(commit).await.unwrap();
                assert_eq!(simplified(outcome), model.commit(path, file, storage, number));
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

fn simplified(outcome: CommitOutcome) -> Outcome {
    let numbers = |hashes: Vec<nix_formats::StorePathHash>| {
        let mut numbers: Vec<_> = (0..PATHS).filter(|&path| hashes.contains(&path_hash(path))).collect();
        assert_eq!(numbers.len(), hashes.len());
        numbers.sort_unstable();
        numbers
    };
    match outcome {
        CommitOutcome::Created { revealed, .. } => Outcome::Created(numbers(revealed)),
        CommitOutcome::AlreadyPresent(_) => Outcome::AlreadyPresent,
        CommitOutcome::Healed { revealed, .. } => Outcome::Healed(numbers(revealed)),
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
            let File { storage, damaged } = model.files[file];
            (file_hash(*file), storage, damaged, vec![format!("commit:{number}")])
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
    for storage in [fixture.first, fixture.second] {
        let files = model.files.iter().filter(|(_, file)| file.storage == storage);
        let expected: u64 = files.map(|(file, _)| size(file)).sum();
        assert_eq!(catalog.storage_used(storage).await.unwrap(), expected);
    }
}
