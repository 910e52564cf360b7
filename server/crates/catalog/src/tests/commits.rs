use nix_formats::Compression;

use super::support::{
    Backend, Fixture, declared_cache, declared_storage, file_hash, new_nar, path_hash, store_path,
};
use crate::{CatalogError, CommitOutcome, NarRecord, PathCommit, PathRecord, ReplacedNar, UnixTime};

async fn find(fixture: &Fixture, path: u32) -> PathRecord {
    let found = fixture.catalog.find_path(fixture.cache, &path_hash(path)).await;
    found.unwrap().unwrap()
}

fn assert_is_as_committed(record: &PathRecord, commit: &PathCommit) {
    assert_eq!(record.path, commit.path);
    assert_eq!(record.references, commit.references);
    assert_eq!(record.deriver, commit.deriver);
    assert_eq!(record.ca, commit.ca);
    assert_eq!(record.signatures, commit.signatures);
    assert_eq!(record.created_at, commit.created_at);
    assert_eq!(record.last_used_at, commit.created_at);
    assert_eq!(
        record.nar,
        NarRecord {
            id: record.nar.id,
            storage: commit.nar.storage,
            file_hash: commit.nar.file_hash,
            compression: commit.nar.compression,
            file_size: commit.nar.file_size,
            nar_hash: commit.nar.nar_hash,
            nar_size: commit.nar.nar_size,
            damaged: false,
        }
    );
}

pub(super) async fn a_committed_path_is_found_whole(backend: Backend) {
    let fixture = backend.fixture().await;
    let commit = PathCommit {
        ca: Some("fixed:r:sha256:abc".to_owned()),
        signatures: vec!["a-1:x".to_owned(), "b-1:y".to_owned()],
        ..fixture.commit(1, 1)
    };
    let outcome = fixture.catalog.commit_path(commit.clone()).await.unwrap();
    let record = find(&fixture, 1).await;
    assert_is_as_committed(&record, &commit);
    assert_eq!(
        outcome,
        CommitOutcome::Created { path: Box::new(record.clone()), revealed: vec![], replaced: None }
    );
    let nar = fixture.catalog.find_nar(fixture.cache, &file_hash(1)).await;
    assert_eq!(nar.unwrap(), Some(record.nar));
    assert_eq!(fixture.visible().await, [path_hash(1)]);
}

pub(super) async fn an_existing_path_is_left_unchanged(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let before = find(&fixture, 1).await;
    let other = PathCommit {
        nar: new_nar(fixture.second, 2),
        references: vec![],
        signatures: vec!["other:sig".to_owned()],
        created_at: UnixTime(2_000_000),
        ..fixture.commit(1, 1)
    };
    let outcome = fixture.catalog.commit_path(other).await.unwrap();
    // Who pushes it relies on it.
    let after = PathRecord { last_used_at: UnixTime(2_000_000), ..before };
    assert_eq!(outcome, CommitOutcome::AlreadyPresent(Box::new(after.clone())));
    assert_eq!(find(&fixture, 1).await, after);
    let nar = fixture.catalog.find_nar(fixture.cache, &file_hash(2)).await;
    assert_eq!(nar.unwrap(), None);
}

pub(super) async fn a_path_without_references_and_signatures_is_found_whole(backend: Backend) {
    let fixture = backend.fixture().await;
    let commit = PathCommit { references: vec![], signatures: vec![], deriver: None, ..fixture.commit(1, 1) };
    fixture.catalog.commit_path(commit.clone()).await.unwrap();
    assert_is_as_committed(&find(&fixture, 1).await, &commit);
}

pub(super) async fn thousands_of_references_keep_their_order(backend: Backend) {
    let fixture = backend.fixture().await;
    let commit = PathCommit { references: (0..2500).rev().map(store_path).collect(), ..fixture.commit(1, 1) };
    fixture.catalog.commit_path(commit.clone()).await.unwrap();
    assert_is_as_committed(&find(&fixture, 1).await, &commit);
}

pub(super) async fn the_same_file_is_recorded_once(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let commit = PathCommit { nar: new_nar(fixture.second, 1), ..fixture.commit(2, 1) };
    let outcome = fixture.catalog.commit_path(commit).await.unwrap();
    let CommitOutcome::Created { path, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(path.nar, find(&fixture, 1).await.nar);
    assert_eq!(path.nar.storage, fixture.first);
}

pub(super) async fn the_same_path_in_two_caches_is_two_paths(backend: Backend) {
    let catalog = backend.open().await;
    let declared = [declared_cache("a"), declared_cache("b")];
    let caches = catalog.reconcile_caches(&declared).await.unwrap();
    let storages = catalog
        .reconcile_storages(&[declared_storage(caches[0].id, "disk"), declared_storage(caches[1].id, "disk")])
        .await
        .unwrap();
    let fixtures: Vec<_> = caches
        .iter()
        .zip(&storages)
        .map(|(cache, storage)| Fixture {
            catalog: catalog.clone(),
            cache: cache.id,
            first: storage.id,
            second: storage.id,
        })
        .collect();
    fixtures[0].create(1, 1).await;
    fixtures[1].create(1, 1).await;
    fixtures[0].damage(1).await;
    assert_eq!(fixtures[0].visible().await, []);
    assert_eq!(fixtures[1].visible().await, [path_hash(1)]);
}

pub(super) async fn a_damaged_file_hides_all_its_paths(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    fixture.create(3, 3).await;
    assert_eq!(fixture.damage(1).await, [path_hash(1), path_hash(2)]);
    assert_eq!(fixture.damage(1).await, [path_hash(1), path_hash(2)]);
    assert_eq!(fixture.visible().await, [path_hash(3)]);
    assert!(find(&fixture, 1).await.nar.damaged);
    assert!(!find(&fixture, 3).await.nar.damaged);
}

pub(super) async fn a_push_heals_a_hidden_path(backend: Backend) {
    let fixture = backend.fixture().await;
    let old = fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    fixture.damage(1).await;
    let commit = PathCommit {
        nar: new_nar(fixture.second, 1),
        references: vec![store_path(7)],
        signatures: vec!["new:sig".to_owned()],
        created_at: UnixTime(2_000_000),
        ..fixture.commit(1, 1)
    };
    let outcome = fixture.catalog.commit_path(commit.clone()).await.unwrap();
    let record = find(&fixture, 1).await;
    assert_is_as_committed(&record, &commit);
    assert_ne!(record.id, old);
    assert_eq!(
        outcome,
        CommitOutcome::Healed {
            path: Box::new(record),
            revealed: vec![path_hash(2)],
            replaced: Some(ReplacedNar { storage: fixture.first, file_size: 101 }),
        }
    );
    assert_eq!(fixture.visible().await, [path_hash(1), path_hash(2)]);
}

pub(super) async fn a_push_of_another_path_heals_the_shared_file(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.damage(1).await;
    let outcome = fixture.catalog.commit_path(fixture.commit(2, 1)).await.unwrap();
    let CommitOutcome::Created { revealed, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(revealed, [path_hash(1)]);
    assert_eq!(fixture.visible().await, [path_hash(1), path_hash(2)]);
}

pub(super) async fn a_hidden_path_is_healed_by_another_file(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    fixture.damage(1).await;
    let outcome = fixture.catalog.commit_path(fixture.commit(1, 5)).await.unwrap();
    let CommitOutcome::Healed { path, revealed, replaced } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(path.nar.file_hash, file_hash(5));
    assert_eq!((revealed, replaced), (vec![], None));
    assert_eq!(fixture.visible().await, [path_hash(1)]);
    // What is left behind can be found, also when no path needs it any more.
    fixture.catalog.commit_path(fixture.commit(2, 5)).await.unwrap();
    let left = fixture.catalog.nars_on(fixture.first, None, 10).await.unwrap();
    let left: Vec<_> = left.iter().map(|nar| (nar.file_hash, nar.damaged)).collect();
    assert_eq!(left, [(file_hash(1), true), (file_hash(5), false)]);
}

pub(super) async fn a_late_report_of_damage_does_not_hide_what_was_healed(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    let seen = find(&fixture, 1).await.nar.id;
    fixture.damage(1).await;
    fixture.catalog.commit_path(fixture.commit(1, 1)).await.unwrap();
    assert_eq!(fixture.catalog.damage(seen).await.unwrap(), []);
    assert_eq!(fixture.visible().await, [path_hash(1), path_hash(2)]);
}

pub(super) async fn a_contradicting_nar_is_refused(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let honest = new_nar(fixture.first, 1);
    for nar in [
        crate::NewNar { nar_hash: new_nar(fixture.first, 2).nar_hash, ..honest },
        crate::NewNar { nar_size: 1, ..honest },
        crate::NewNar { file_size: 1, ..honest },
        crate::NewNar { compression: Compression::Xz, ..honest },
    ] {
        let commit = PathCommit { nar, ..fixture.commit(2, 1) };
        let error = fixture.catalog.commit_path(commit).await.unwrap_err();
        assert!(matches!(error, CatalogError::ContradictingNar { .. }), "{error}");
    }
    assert_eq!(fixture.visible().await, [path_hash(1)]);
}

pub(super) async fn a_signature_with_a_line_break_is_refused(backend: Backend) {
    let fixture = backend.fixture().await;
    let commit = PathCommit { signatures: vec!["a:b\nSig: forged".to_owned()], ..fixture.commit(1, 1) };
    let error = fixture.catalog.commit_path(commit).await.unwrap_err();
    assert!(matches!(error, CatalogError::MultilineSignature), "{error}");
    assert_eq!(fixture.visible().await, []);
    let nar = fixture.catalog.find_nar(fixture.cache, &file_hash(1)).await;
    assert_eq!(nar.unwrap(), None);
}

pub(super) async fn a_size_that_does_not_fit_is_refused(backend: Backend) {
    let fixture = backend.fixture().await;
    let nar = crate::NewNar { nar_size: u64::MAX, ..new_nar(fixture.first, 1) };
    let commit = PathCommit { nar, ..fixture.commit(1, 1) };
    let error = fixture.catalog.commit_path(commit).await.unwrap_err();
    assert!(matches!(error, CatalogError::TooLarge { .. }), "{error}");
}

pub(super) async fn a_push_puts_elsewhere_what_an_unavailable_storage_holds(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    let seen = fixture.nar(1).await;
    let commit = |path, unavailable| PathCommit {
        nar: new_nar(fixture.second, 1),
        unavailable,
        ..fixture.commit(path, 1)
    };
    // That another one is not available does not matter.
    let outcome = fixture.catalog.commit_path(commit(1, vec![fixture.second])).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::AlreadyPresent(_)), "{outcome:?}");

    let outcome = fixture.catalog.commit_path(commit(1, vec![fixture.first])).await.unwrap();
    let CommitOutcome::Healed { path, revealed, replaced } = outcome else { panic!("{outcome:?}") };
    assert_eq!(*path, find(&fixture, 1).await);
    assert_eq!(path.nar.storage, fixture.second);
    assert_eq!(revealed, [path_hash(2)]);
    assert_eq!(replaced, Some(ReplacedNar { storage: fixture.first, file_size: seen.file_size }));
    assert_eq!(find(&fixture, 2).await.nar, path.nar);

    // Now it is there, also for a path that is new.
    let outcome = fixture.catalog.commit_path(commit(3, vec![fixture.first])).await.unwrap();
    let CommitOutcome::Created { path: third, replaced: None, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(third.nar, path.nar);
    assert_eq!(fixture.catalog.damage(seen.id).await.unwrap(), []);
    assert_eq!(fixture.visible().await, [1, 2, 3].map(path_hash));
}

pub(super) async fn a_new_path_takes_its_file_along_from_an_unavailable_storage(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let commit = PathCommit {
        nar: new_nar(fixture.second, 1),
        unavailable: vec![fixture.first],
        ..fixture.commit(2, 1)
    };
    let outcome = fixture.catalog.commit_path(commit).await.unwrap();
    let CommitOutcome::Created { path, revealed, replaced } = outcome else { panic!("{outcome:?}") };
    assert_eq!(path.nar.storage, fixture.second);
    assert_eq!(revealed, [path_hash(1)]);
    assert_eq!(replaced, Some(ReplacedNar { storage: fixture.first, file_size: 101 }));
}

pub(super) async fn turns_are_saved_with_the_path_that_took_one(backend: Backend) {
    let fixture = backend.fixture().await;
    let turns = async || {
        let caches = fixture.catalog.reconcile_caches(&[declared_cache("main")]).await.unwrap();
        caches[0].turns.clone()
    };
    let with_turns = |turns: &str, commit| PathCommit { turns: Some(turns.to_owned()), ..commit };
    let commit =
        |turns, path, file| fixture.catalog.commit_path(with_turns(turns, fixture.commit(path, file)));

    commit("created", 1, 1).await.unwrap();
    assert_eq!(turns().await, "created");
    commit("already present", 1, 2).await.unwrap();
    assert_eq!(turns().await, "created");
    let refused = PathCommit { signatures: vec!["a\nb".to_owned()], ..fixture.commit(2, 2) };
    fixture.catalog.commit_path(with_turns("refused", refused)).await.unwrap_err();
    assert_eq!(turns().await, "created");
    fixture.create(2, 2).await;
    assert_eq!(turns().await, "created");
    fixture.damage(1).await;
    commit("healed", 1, 1).await.unwrap();
    assert_eq!(turns().await, "healed");
}
