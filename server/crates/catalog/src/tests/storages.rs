use super::caches::declare;
use super::support::{Backend, declared_storage, file_hash, new_nar, path_hash};
use crate::{
    CacheStats, CatalogError, CommitOutcome, Keep, NewPin, PathCommit, PinOutcome, ReplacedNar, StorageStats,
};

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

pub(super) async fn a_marker_stays_with_its_storage(backend: Backend) {
    let fixture = backend.fixture().await;
    let declared = [declared_storage(fixture.cache, "first"), declared_storage(fixture.cache, "second")];
    fixture.catalog.set_storage_marker(fixture.second, "0815".to_owned()).await.unwrap();
    for declared in [&declared[..], &[], &declared] {
        let storages = fixture.catalog.reconcile_storages(declared).await.unwrap();
        let markers: Vec<_> = storages.iter().map(|storage| storage.marker.as_deref()).collect();
        assert_eq!(markers, [None, Some("0815")]);
    }
}

pub(super) async fn what_a_vanished_storage_holds_is_hidden_until_it_is_back(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    fixture.create(1, 1).await;
    for (path, file) in [(2, 2), (3, 2), (4, 4)] {
        let elsewhere = PathCommit { nar: new_nar(fixture.second, file), ..fixture.commit(path, file) };
        catalog.commit_path(elsewhere).await.unwrap();
    }
    fixture.damage(4).await;
    let everything = async || {
        (
            fixture.visible().await,
            catalog.cache_stats(fixture.cache).await.unwrap(),
            catalog.storage_stats(fixture.second).await.unwrap(),
            catalog.unpublished(None, 10).await.unwrap(),
        )
    };
    let before = everything().await;
    assert_eq!(before.0, [1, 2, 3].map(path_hash));

    fixture.declare(&["first"]).await;
    let (visible, stats, storage, unpublished) = everything().await;
    assert_eq!(visible, [path_hash(1)]);
    assert_eq!(stats, CacheStats { paths: 1, hidden_paths: 3, ..before.1 });
    assert_eq!(storage, StorageStats { nars: 2, file_bytes: 102 + 104, damaged_nars: 1, hidden_paths: 3 });
    assert_eq!(unpublished, before.3[..1]);
    let pin = NewPin {
        cache: fixture.cache,
        name: "v1".to_owned(),
        path: path_hash(2),
        artifacts: vec![],
        keep: Keep::All,
    };
    assert_eq!(catalog.add_pin(pin).await.unwrap(), PinOutcome::UnknownPath);
    // It is there all the same.
    assert!(!fixture.path(2).await.nar.damaged);
    assert_eq!(fixture.path(2).await.nar, fixture.nar(2).await);
    assert_eq!(catalog.storage_used(fixture.second).await.unwrap(), 102 + 104);

    fixture.declare(&["first", "second"]).await;
    assert_eq!(everything().await, before);
    assert_eq!(before.2, StorageStats { nars: 2, file_bytes: 102 + 104, damaged_nars: 1, hidden_paths: 1 });
}

pub(super) async fn any_number_of_paths_of_a_vanished_storage_is_left_out(backend: Backend) {
    let fixture = backend.fixture().await;
    let commits = (0..350).map(|path| {
        // Half of them are elsewhere.
        let (storage, file) =
            if path % 2 == 0 { (fixture.first, 1) } else { (fixture.second, path % 3 * 10) };
        PathCommit { nar: new_nar(storage, file), references: vec![], ..fixture.commit(path, file) }
    });
    futures_util::future::try_join_all(commits.map(|commit| fixture.catalog.commit_path(commit)))
        .await
        .unwrap();
    fixture.declare(&["first"]).await;
    assert_eq!(fixture.visible().await, (0..350).step_by(2).map(path_hash).collect::<Vec<_>>());
    fixture.declare(&["first", "second"]).await;
    assert_eq!(fixture.visible().await, (0..350).map(path_hash).collect::<Vec<_>>());
}

pub(super) async fn a_push_puts_elsewhere_what_a_vanished_storage_holds(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 1).await;
    let seen = fixture.nar(1).await.id;
    fixture.declare(&["second"]).await;

    let commit = PathCommit { nar: new_nar(fixture.second, 1), ..fixture.commit(1, 1) };
    let outcome = fixture.catalog.commit_path(commit).await.unwrap();
    let CommitOutcome::Healed { path, revealed, replaced } = outcome else { panic!("{outcome:?}") };
    assert_eq!(path.nar.storage, fixture.second);
    assert_eq!(revealed, [path_hash(2)]);
    assert_eq!(replaced, Some(ReplacedNar { storage: fixture.first, file_size: 101 }));
    assert_eq!(fixture.visible().await, [1, 2].map(path_hash));
    assert_eq!(fixture.catalog.storage_used(fixture.first).await.unwrap(), 0);

    fixture.declare(&["first", "second"]).await;
    assert_eq!(fixture.catalog.damage(seen).await.unwrap(), []);
    assert_eq!(fixture.nar(1).await, path.nar);
}

pub(super) async fn nothing_is_recorded_on_a_vanished_storage(backend: Backend) {
    let fixture = backend.fixture().await;
    let elsewhere = PathCommit { nar: new_nar(fixture.second, 1), ..fixture.commit(1, 1) };
    fixture.catalog.commit_path(elsewhere).await.unwrap();
    fixture.create(3, 3).await;
    fixture.declare(&["second"]).await;
    // Neither something new nor something in place of what is hidden.
    for commit in [fixture.commit(2, 2), fixture.commit(3, 3), fixture.commit(3, 2)] {
        let error = fixture.catalog.commit_path(commit).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::StorageNotInUse { storage } if storage == fixture.first),
            "{error}"
        );
    }
    let nar = fixture.catalog.find_nar(fixture.cache, &file_hash(2)).await;
    assert_eq!(nar.unwrap(), None);
    assert_eq!(fixture.path(3).await.nar.storage, fixture.first);
    // What is to be had elsewhere can be used.
    fixture.create(4, 1).await;
    assert_eq!(fixture.visible().await, [1, 4].map(path_hash));
}
