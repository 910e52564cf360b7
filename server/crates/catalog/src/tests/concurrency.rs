use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::support::{Backend, Fixture, new_nar, path_hash};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, CommitOutcome, NewNar, PathCommit};

/// Keeps the writer busy until the sender is used or dropped. Returns once it is.
pub(super) async fn block_writer(catalog: &Catalog) -> oneshot::Sender<()> {
    let (release, released) = oneshot::channel::<()>();
    let (started, running) = oneshot::channel();
    let catalog = catalog.clone();
    tokio::spawn(async move {
        // A server gives up a transaction that pauses for long, so this may fail.
        let _ = catalog
            .write(Mutex::new(Some((started, released))), |_, signals| {
                Box::pin(async move {
                    if let Some((started, released)) = signals.lock().await.take() {
                        let _ = started.send(());
                        let _ = released.await;
                    }
                    Ok(Written::quietly(()))
                })
            })
            .await;
    });
    running.await.unwrap();
    release
}

/// Spawns the commits, in order, and returns once they all wait for the writer.
async fn submit(
    fixture: &Fixture,
    commits: Vec<PathCommit>,
) -> Vec<JoinHandle<Result<CommitOutcome, CatalogError>>> {
    let mut handles = Vec::new();
    for commit in commits {
        let before = fixture.catalog.writes_waiting();
        let catalog = fixture.catalog.clone();
        handles.push(tokio::spawn(async move { catalog.commit_path(commit).await }));
        while fixture.catalog.writes_waiting() == before {
            tokio::task::yield_now().await;
        }
    }
    handles
}

pub(super) async fn distinct_paths_committed_at_once_are_all_created(backend: Backend) {
    let fixture = backend.fixture().await;
    let commits = (0..64).map(|number| {
        let fixture = fixture.clone();
        tokio::spawn(async move { fixture.create(number, number).await })
    });
    let mut ids: Vec<_> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 64);
    assert_eq!(fixture.visible().await, (0..64).map(path_hash).collect::<Vec<_>>());
}

pub(super) async fn one_path_committed_at_once_is_created_once(backend: Backend) {
    let fixture = backend.fixture().await;
    let commits = (0..64).map(|file| {
        let (catalog, commit) = (fixture.catalog.clone(), fixture.commit(1, file));
        tokio::spawn(async move { catalog.commit_path(commit).await.unwrap() })
    });
    let outcomes: Vec<_> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
    let created: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            CommitOutcome::Created { path, .. } => Some(path.id),
            _ => None,
        })
        .collect();
    assert_eq!(created.len(), 1);
    for outcome in &outcomes {
        if let CommitOutcome::AlreadyPresent(record) = outcome {
            assert_eq!(record.id, created[0]);
        }
    }
    let stats = fixture.catalog.cache_stats(fixture.cache).await.unwrap();
    assert_eq!((stats.paths, stats.nars), (1, 1));
}

pub(super) async fn concurrent_writes_share_commits(backend: Backend) {
    let fixture = backend.fixture().await;
    let before = fixture.catalog.writer_stats();
    let release = block_writer(&fixture.catalog).await;
    let commits = (0..100).map(|number| fixture.commit(number, number)).collect();
    let handles = submit(&fixture, commits).await;
    drop(release);
    for handle in handles {
        handle.await.unwrap().unwrap();
    }
    let after = fixture.catalog.writer_stats();
    assert_eq!(after.commands - before.commands, 101);
    // The write that blocked, and one group for all the others; a server's turn may end before all of them are done.
    let most = if fixture.catalog.is_shared() { 11 } else { 2 };
    let commits = after.commits - before.commits;
    assert!((2..=most).contains(&commits), "{commits}");
}

pub(super) async fn a_failing_write_leaves_the_others_of_its_group_unharmed(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(0, 0).await;
    // Refused by the database, which would not go on with the transaction if it were not for the savepoint.
    let unknown_cache =
        PathCommit { cache: CacheId(999), upload: Some(Uuid::from_u128(1)), ..fixture.commit(2, 2) };
    let contradicting =
        PathCommit { nar: NewNar { file_size: 7, ..new_nar(fixture.first, 0) }, ..fixture.commit(4, 4) };
    let release = block_writer(&fixture.catalog).await;
    let commits =
        vec![fixture.commit(1, 1), unknown_cache, fixture.commit(3, 3), contradicting, fixture.commit(5, 5)];
    let before = fixture.catalog.writer_stats();
    let handles = submit(&fixture, commits).await;
    drop(release);
    let results: Vec<_> = join_all(handles).await.into_iter().map(Result::unwrap).collect();
    let succeeded: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [true, false, true, false, true]);
    assert!(matches!(results[1], Err(CatalogError::Database(_))));
    assert!(matches!(results[3], Err(CatalogError::ContradictingNar { .. })));
    let after = fixture.catalog.writer_stats();
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(fixture.visible().await, [0, 1, 3, 5].map(path_hash));
    let nar = fixture.catalog.find_nar(CacheId(999), &new_nar(fixture.first, 2).file_hash).await;
    assert_eq!(nar.unwrap(), None);
}

pub(super) async fn writes_take_effect_in_the_order_of_submission(backend: Backend) {
    let fixture = backend.fixture().await;
    let release = block_writer(&fixture.catalog).await;
    // The first is refused unless it comes before the one that it contradicts.
    let contradicting =
        PathCommit { nar: NewNar { file_size: 7, ..new_nar(fixture.first, 0) }, ..fixture.commit(0, 0) };
    let commits = std::iter::once(contradicting)
        .chain((1..50).map(|number| fixture.commit(number, number % 2)))
        .collect();
    let handles = submit(&fixture, commits).await;
    drop(release);
    let mut created = Vec::new();
    for (number, handle) in handles.into_iter().enumerate() {
        match handle.await.unwrap() {
            Ok(CommitOutcome::Created { path, .. }) => created.push(path.id),
            Err(CatalogError::ContradictingNar { .. }) if number > 0 && number % 2 == 0 => {}
            other => panic!("write {number}: {other:?}"),
        }
    }
    assert_eq!(created.len(), 26);
    assert!(created.is_sorted());
}

pub(super) async fn a_write_whose_caller_went_away_is_done(backend: Backend) {
    let fixture = backend.fixture().await;
    let release = block_writer(&fixture.catalog).await;
    let handles = submit(&fixture, vec![fixture.commit(1, 1)]).await;
    handles[0].abort();
    drop(release);
    fixture.create(2, 2).await;
    assert_eq!(fixture.visible().await, [path_hash(1), path_hash(2)]);
}

pub(super) async fn closing_finishes_what_was_submitted(backend: Backend) {
    let fixture = backend.fixture().await;
    let release = block_writer(&fixture.catalog).await;
    let commits = (0..20).map(|number| fixture.commit(number, number)).collect();
    let handles = submit(&fixture, commits).await;
    let closing = [fixture.catalog.clone(), fixture.catalog.clone()]
        .map(|catalog| tokio::spawn(async move { catalog.close().await }));
    drop(release);
    for handle in handles {
        assert!(matches!(handle.await.unwrap(), Ok(CommitOutcome::Created { .. })));
    }
    for closing in closing {
        closing.await.unwrap();
    }
    let late = fixture.catalog.commit_path(fixture.commit(99, 99)).await;
    assert!(matches!(late, Err(CatalogError::Closed)), "{late:?}");
    fixture.catalog.close().await;
}
