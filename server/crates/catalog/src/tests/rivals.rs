//! Several daemons on one database, writing at the same time.

use futures_util::future::{join_all, try_join_all};
use futures_util::{Stream, StreamExt};
use uuid::Uuid;

use super::support::{Backend, Fixture, declared_cache, declared_storage, file_hash, new_nar, path_hash};
use crate::{
    Catalog, CatalogChange, CommitOutcome, Keep, MoveOutcome, NewPin, PathChange, PathCommit, PinOutcome,
    RegisterKey,
};

/// The same cache as two daemons see it.
async fn two_daemons(backend: &Backend) -> [Fixture; 2] {
    let first = backend.fixture().await;
    let second = Fixture { catalog: backend.open().await, ..first.clone() };
    [first, second]
}

/// Commits by both daemons, as many at once as each has.
async fn commit_all(commits: [(&Fixture, Vec<PathCommit>); 2]) -> Vec<CommitOutcome> {
    let commits = commits.into_iter().flat_map(|(fixture, commits)| {
        commits.into_iter().map(|commit| {
            let catalog = fixture.catalog.clone();
            tokio::spawn(async move { catalog.commit_path(commit).await.unwrap() })
        })
    });
    join_all(commits).await.into_iter().map(Result::unwrap).collect()
}

fn created(outcomes: &[CommitOutcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, CommitOutcome::Created { .. })).count()
}

pub(super) async fn daemons_that_start_at_once_agree(backend: Backend) {
    let catalogs = try_join_all((0..6).map(|_| backend.try_open())).await.unwrap();
    let declared = [declared_cache("a"), declared_cache("b")];
    let caches = join_all(catalogs.iter().map(|catalog| catalog.reconcile_caches(&declared))).await;
    let caches: Vec<_> = caches.into_iter().map(Result::unwrap).collect();
    assert!(caches.iter().all(|same| *same == caches[0]), "{caches:?}");
    let declared: Vec<_> = caches[0].iter().map(|cache| declared_storage(cache.id, "disk")).collect();
    let storages = join_all(catalogs.iter().map(|catalog| catalog.reconcile_storages(&declared))).await;
    let storages: Vec<_> = storages.into_iter().map(Result::unwrap).collect();
    assert!(storages.iter().all(|same| *same == storages[0]), "{storages:?}");
}

pub(super) async fn daemons_that_start_at_once_share_one_key(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalogs = try_join_all((0..6).map(|_| backend.try_open())).await.unwrap();
    let sharing = catalogs.iter().zip(0..).map(|(catalog, number)| {
        catalog.share_server_key(fixture.cache, "main-1", [number; 32], vec![number])
    });
    let keys = try_join_all(sharing).await.unwrap();
    assert_eq!(keys[0].sealed, Some(vec![keys[0].public_key[0]]));
    assert!(keys.iter().all(|same| *same == keys[0]), "{keys:?}");
}

pub(super) async fn an_upload_begun_by_one_daemon_is_found_by_the_other(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    let upload = Uuid::from_u128(1);
    a.catalog.record_open_upload(upload, a.cache, "a").await.unwrap();
    let found = b.catalog.find_open_upload(upload).await.unwrap();
    assert_eq!(found.unwrap().owner, "a");
    b.catalog.commit_path(PathCommit { upload: Some(upload), ..b.commit(1, 1) }).await.unwrap();
    assert_eq!(a.catalog.find_open_upload(upload).await.unwrap(), None);
    assert!(a.catalog.find_finished_upload(upload).await.unwrap().is_some());
}

pub(super) async fn a_file_that_two_daemons_move_and_find_damaged_is_hidden_where_it_is(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    a.create(1, 1).await;
    for round in 0..30 {
        let nar = a.nar(1).await;
        let (from, to) = if nar.storage == a.first { (a.first, a.second) } else { (a.second, a.first) };
        let (moved, reported, moved_too) = tokio::join!(
            a.catalog.move_nar(nar.id, from, to),
            b.catalog.damage(nar.id),
            b.catalog.move_nar(nar.id, from, to),
        );
        let moves = [moved.unwrap(), moved_too.unwrap()];
        let moves = moves.iter().filter(|outcome| matches!(outcome, MoveOutcome::Moved { .. })).count();
        // Whichever came first made the others come too late.
        let hidden = reported.unwrap();
        assert_eq!((moves, hidden.len()), if hidden.is_empty() { (1, 0) } else { (0, 1) }, "round {round}");
        let now = b.nar(1).await;
        assert_eq!((now.storage, now.damaged), if moves == 1 { (to, false) } else { (from, true) });
        assert_eq!(b.visible().await.len(), moves);
        if now.damaged {
            b.catalog.commit_path(PathCommit { nar: new_nar(to, 1), ..b.commit(1, 1) }).await.unwrap();
        }
    }
}

pub(super) async fn a_write_of_one_daemon_is_seen_by_the_other_at_once(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    for number in 0..20 {
        let (writer, reader) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let id = writer.create(number, number).await;
        let found = reader.catalog.find_path(reader.cache, &path_hash(number)).await.unwrap();
        assert_eq!(found.unwrap().id, id);
    }
}

pub(super) async fn one_path_pushed_to_two_daemons_is_created_once(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    let commits = |files: std::ops::Range<u32>| files.map(|file| a.commit(1, file)).collect();
    let outcomes = commit_all([(&a, commits(0..32)), (&b, commits(32..64))]).await;
    assert_eq!(created(&outcomes), 1);
    let record = a.catalog.find_path(a.cache, &path_hash(1)).await.unwrap().unwrap();
    for outcome in outcomes {
        match outcome {
            CommitOutcome::Created { path, .. } => assert_eq!(*path, record),
            CommitOutcome::AlreadyPresent(present) => assert_eq!(*present, record),
            CommitOutcome::Healed { .. } => panic!("{outcome:?}"),
        }
    }
    let stats = b.catalog.cache_stats(b.cache).await.unwrap();
    assert_eq!((stats.paths, stats.nars), (1, 1));
}

pub(super) async fn one_file_pushed_to_two_daemons_is_recorded_once(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    let first = (0..32).map(|path| a.commit(path, 1)).collect();
    let second = (32..64).map(|path| PathCommit { nar: new_nar(b.second, 1), ..b.commit(path, 1) }).collect();
    let outcomes = commit_all([(&a, first), (&b, second)]).await;
    assert_eq!(created(&outcomes), 64);
    let recorded = a.catalog.find_nar(a.cache, &file_hash(1)).await.unwrap().unwrap();
    for outcome in outcomes {
        let CommitOutcome::Created { path, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(path.nar, recorded);
    }
}

pub(super) async fn a_closure_pushed_to_two_daemons_crosswise_is_stored_once(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    let forwards = (0..200).map(|number| a.commit(number, number)).collect();
    let backwards = (0..200).rev().map(|number| b.commit(number, number)).collect();
    let outcomes = commit_all([(&a, forwards), (&b, backwards)]).await;
    assert_eq!(created(&outcomes), 200);
    assert_eq!(a.visible().await, (0..200).map(path_hash).collect::<Vec<_>>());
}

pub(super) async fn revisions_given_by_two_daemons_are_all_different(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    a.create(1, 1).await;
    let pins = [&a, &b].into_iter().cycle().take(40).map(|fixture| {
        let pin = NewPin {
            cache: fixture.cache,
            name: "v1".to_owned(),
            path: path_hash(1),
            artifacts: vec![],
            keep: Keep::Revisions(3),
        };
        let catalog = fixture.catalog.clone();
        tokio::spawn(async move { catalog.add_pin(pin).await.unwrap() })
    });
    let outcomes = join_all(pins).await.into_iter().map(Result::unwrap);
    let mut revisions: Vec<_> = outcomes
        .map(|outcome| match outcome {
            PinOutcome::Added { revision } => revision,
            PinOutcome::UnknownPath => panic!("{outcome:?}"),
        })
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=40).collect::<Vec<_>>());
    let left = b.catalog.list_pins(b.cache).await.unwrap();
    assert_eq!(left.iter().map(|pin| pin.revision).collect::<Vec<_>>(), [40, 39, 38]);
}

pub(super) async fn damage_found_by_one_daemon_never_hides_what_the_other_healed(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    a.create(1, 1).await;
    for round in 0..20 {
        // Both have looked, and found the file missing.
        let seen = a.catalog.find_nar(a.cache, &file_hash(1)).await.unwrap().unwrap().id;
        let reports = (0..4).map(|_| {
            let catalog = a.catalog.clone();
            tokio::spawn(async move { catalog.damage(seen).await.unwrap() })
        });
        let push = b.catalog.commit_path(b.commit(1, 1));
        let (outcome, _) = tokio::join!(push, join_all(reports));
        let visible = b.visible().await;
        match outcome.unwrap() {
            CommitOutcome::Healed { .. } => assert_eq!(visible, [path_hash(1)], "round {round}"),
            CommitOutcome::AlreadyPresent(_) => {
                assert_eq!(visible, [], "round {round}");
                b.catalog.commit_path(b.commit(1, 1)).await.unwrap();
            }
            outcome @ CommitOutcome::Created { .. } => panic!("{outcome:?}"),
        }
    }
}

pub(super) async fn a_client_key_and_paths_that_race_come_in_one_order(backend: Backend) {
    let [observer, _] = two_daemons(&backend).await;
    let mut registered = 0;
    for round in 0..20 {
        let a = Fixture::new(observer.catalog.clone(), &format!("race-{round}")).await;
        let b = Fixture { catalog: backend.open().await, ..a.clone() };
        let mut changes = Box::pin(listening(&observer.catalog).await);
        let commits =
            async { commit_all([(&a, (0..3).map(|n| a.commit(n, n)).collect()), (&b, vec![])]).await };
        let register = b.catalog.register_client_key(b.cache, "race-1", [1; 32]);
        let (outcomes, outcome) = tokio::join!(commits, register);
        assert_eq!(created(&outcomes), 3);
        let outcome = outcome.unwrap();
        registered += u32::from(outcome == RegisterKey::Registered);
        let expected = if outcome == RegisterKey::Registered { 4 } else { 3 };
        let mut order = Vec::new();
        while order.len() < expected {
            order.push(changes.next().await.unwrap());
        }
        let keys = order.iter().position(|change| matches!(change, CatalogChange::SigningKeys { .. }));
        match outcome {
            // No path was there before the key.
            RegisterKey::Registered => assert_eq!(keys, Some(0), "{order:?}"),
            RegisterKey::CacheNotEmpty { paths } => {
                assert!((1..=3).contains(&paths));
                assert_eq!(keys, None);
            }
            _ => panic!("{outcome:?}"),
        }
        b.catalog.close().await;
    }
    println!("the key came first in {registered} of 20 rounds");
}

pub(super) async fn a_record_is_of_one_moment(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    a.create(1, 1).await;
    let healing = async {
        for round in 0..100 {
            a.damage(1).await;
            let signatures = vec![format!("round:{round}")];
            a.catalog.commit_path(PathCommit { signatures, ..a.commit(1, 1) }).await.unwrap();
        }
    };
    let reading = async {
        loop {
            let found = b.catalog.find_path(b.cache, &path_hash(1)).await.unwrap().unwrap();
            assert_eq!(found.references, b.commit(1, 1).references);
            let listed = b.catalog.list_paths(b.cache, None, 10).await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].references, found.references);
        }
    };
    tokio::select! {
        () = healing => {}
        () = reading => {}
    }
}

/// The changes from now on.
pub(super) async fn listening(catalog: &Catalog) -> impl Stream<Item = CatalogChange> + use<> {
    let mut changes = Box::pin(catalog.changes());
    assert_eq!(changes.next().await, Some(CatalogChange::Resync));
    changes
}

pub(super) async fn both_daemons_hear_the_same_order(backend: Backend) {
    let [a, b] = two_daemons(&backend).await;
    let [mut heard_by_a, mut heard_by_b] =
        [Box::pin(listening(&a.catalog).await), Box::pin(listening(&b.catalog).await)];
    a.create(1, 1).await;
    for _ in 0..10 {
        let seen = a.catalog.find_nar(a.cache, &file_hash(1)).await.unwrap().unwrap().id;
        let (damaged, healed) = tokio::join!(a.catalog.damage(seen), b.catalog.commit_path(b.commit(1, 1)));
        damaged.unwrap();
        healed.unwrap();
    }
    let end = a.commit(2, 2).path;
    a.create(2, 2).await;
    let mut order = Vec::new();
    loop {
        let change = heard_by_a.next().await.unwrap();
        assert_eq!(heard_by_b.next().await.unwrap(), change);
        let CatalogChange::Path { path, change, .. } = change else { panic!("{change:?}") };
        if path == *end.hash() {
            break;
        }
        order.push(change);
    }
    // What was heard last is what is true.
    let visible = b.visible().await.contains(&path_hash(1));
    assert_eq!(*order.last().unwrap() == PathChange::Inserted, visible, "{order:?}");
}
