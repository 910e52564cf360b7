//! A server that is restarted, lost, or silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::watch;

use super::concurrency::block_writer;
use super::postgres::{Database, Server, wait_until};
use super::proxy::{Network, Proxy};
use super::rivals::listening;
use super::support::{Backend, Fixture, path_hash};
use crate::{Catalog, CatalogChange, CatalogError, CommitOutcome, PathChange};

/// What a call may take whose database is away, with some room for a busy machine.
const SOON: Duration = Duration::from_millis(2500);

/// A server of one's own, and a catalog on it.
async fn on_own_server() -> (Server, Database, Fixture) {
    let server = Server::private_and_fast();
    let database = server.database();
    let fixture = Fixture::new(Catalog::open(&database.url()).await.unwrap(), "main").await;
    (server, database, fixture)
}

/// A catalog on the shared server, behind a network of its own.
async fn behind_network() -> (Backend, Proxy, Fixture) {
    let backend = Backend::postgres();
    let proxy = Proxy::start(Server::shared(), backend.database()).await;
    let fixture = Fixture::new(Catalog::open(proxy.url()).await.unwrap(), "main").await;
    (backend, proxy, fixture)
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let result = call.await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    result
}

/// Reads and writes, both of which must fail soon because the database is away.
async fn assert_away(fixture: &Fixture) {
    let path = path_hash(1);
    let reading = in_time(fixture.catalog.find_path(fixture.cache, &path));
    let writing = in_time(fixture.catalog.commit_path(fixture.commit(99, 99)));
    let (read, written) = tokio::join!(reading, writing);
    assert!(matches!(read, Err(CatalogError::Unavailable { .. })), "{read:?}");
    assert!(matches!(written, Err(CatalogError::Unavailable { .. })), "{written:?}");
}

#[tokio::test]
async fn a_restart_between_two_calls_is_not_noticed() {
    let (server, _database, fixture) = on_own_server().await;
    for round in 0..4 {
        // As many connections as there can be are open, and all of them are lost.
        join_all((0..16).map(|_| fixture.visible())).await;
        if round % 2 == 0 {
            server.stop()
        } else {
            server.crash()
        }
        server.start();
        if round % 2 == 0 {
            fixture.create(round, round).await;
        }
        assert!(
            fixture.catalog.find_nar(fixture.cache, &super::support::file_hash(0)).await.unwrap().is_some()
        );
        if round % 2 == 1 {
            fixture.create(round, round).await;
        }
    }
    assert_eq!(fixture.visible().await, (0..4).map(path_hash).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_down_calls_fail_soon_and_afterwards_they_work() {
    let (server, _database, fixture) = on_own_server().await;
    fixture.create(1, 1).await;
    server.stop();
    assert_away(&fixture).await;
    let calls = (0..100).map(|number| {
        let fixture = fixture.clone();
        tokio::spawn(async move {
            if number % 2 == 0 {
                in_time(fixture.catalog.commit_path(fixture.commit(number, number))).await.err()
            } else {
                in_time(fixture.catalog.find_path(fixture.cache, &path_hash(1))).await.err()
            }
        })
    });
    for error in join_all(calls).await {
        assert!(matches!(error.unwrap(), Some(CatalogError::Unavailable { .. })));
    }
    server.start();
    fixture.create(2, 2).await;
    assert_eq!(fixture.visible().await, [1, 2].map(path_hash));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_between_crashes_is_there_and_what_was_refused_is_not() {
    let (server, _database, fixture) = on_own_server().await;
    let (acknowledged, refused, over) =
        (watch::Sender::new(0), watch::Sender::new(0), AtomicBool::new(false));
    let pushing = join_all((0..4).map(async |task| {
        let mut outcomes = Vec::new();
        for number in (task..).step_by(4) {
            let outcome = fixture.catalog.commit_path(fixture.commit(number, number)).await;
            let count = if outcome.is_ok() { &acknowledged } else { &refused };
            count.send_modify(|count| *count += 1);
            outcomes.push((number, outcome));
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        outcomes
    }));
    let crashing = async {
        for _ in 0..3 {
            grow(&acknowledged, 30).await;
            server.crash();
            grow(&refused, 4).await;
            server.start();
        }
        grow(&acknowledged, 30).await;
        over.store(true, Ordering::Relaxed);
    };
    let (outcomes, ()) = tokio::join!(pushing, crashing);
    let visible = fixture.visible().await;
    for (number, outcome) in outcomes.into_iter().flatten() {
        let there = visible.binary_search(&path_hash(number)).is_ok();
        match outcome {
            Ok(CommitOutcome::Created { .. }) => assert!(there, "path {number} was lost"),
            Err(CatalogError::Unavailable { .. }) => {
                assert!(!there, "path {number} was refused, and is there")
            }
            Err(CatalogError::Uncertain { .. }) => {}
            other => panic!("path {number}: {other:?}"),
        }
    }
}

/// Waits until the count has grown by so many.
async fn grow(count: &watch::Sender<u32>, by: u32) {
    let mut count = count.subscribe();
    let aim = *count.borrow() + by;
    count.wait_for(|count| *count >= aim).await.unwrap();
}

#[tokio::test]
async fn a_silent_server_is_given_up_soon_and_works_again_afterwards() {
    let (_backend, proxy, fixture) = behind_network().await;
    fixture.create(1, 1).await;
    for _ in 0..2 {
        proxy.set(Network::Silent);
        assert_away(&fixture).await;
        proxy.set(Network::Up);
        // What was on its way when the silence began was given up.
        let outcome = fixture.catalog.commit_path(fixture.commit(99, 99)).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(fixture.visible().await.contains(&path_hash(99)));
    }
}

#[tokio::test]
async fn a_slow_statement_is_waited_for() {
    let (backend, _proxy, fixture) = behind_network().await;
    let begin = Instant::now();
    let observer = Arc::new(backend);
    let lock = std::thread::spawn({
        let backend = observer.clone();
        move || backend.database().run("BEGIN; LOCK TABLE store_path; SELECT pg_sleep(3); COMMIT")
    });
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' \
                  AND relation = 'store_path'::regclass";
    wait_until("the table is locked", || observer.database().run(locked).trim() == "1");
    let path = path_hash(2);
    let (written, read) = tokio::join!(
        fixture.catalog.commit_path(fixture.commit(1, 1)),
        fixture.catalog.find_path(fixture.cache, &path),
    );
    assert!(begin.elapsed() > Duration::from_millis(2500));
    written.unwrap();
    assert_eq!(read.unwrap(), None);
    lock.join().unwrap();
}

#[tokio::test]
async fn a_commit_that_never_reached_the_server_is_done_again() {
    let (_backend, proxy, fixture) = behind_network().await;
    let before = fixture.catalog.writer_stats().commits;
    proxy.set(Network::LosesNextCommit);
    fixture.create(1, 1).await;
    assert_eq!(proxy.network(), Network::Up);
    assert_eq!(fixture.catalog.writer_stats().commits, before + 1);
    assert_eq!(fixture.visible().await, [path_hash(1)]);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_counts() {
    let (_backend, proxy, fixture) = behind_network().await;
    proxy.set(Network::LosesNextAnswer);
    // Done again it would be there already.
    fixture.create(1, 1).await;
    assert_eq!(proxy.network(), Network::Up);
    assert_eq!(fixture.visible().await, [path_hash(1)]);
}

/// With the first packet, the second, and so on, until a commit needs no more.
#[tokio::test]
async fn a_connection_that_is_cut_at_any_step_of_a_commit_loses_nothing() {
    let (_backend, proxy, fixture) = behind_network().await;
    let mut acknowledged = Vec::new();
    for packets in 0.. {
        proxy.set(Network::LosesPacketAfter(packets));
        let number = packets + 1;
        let outcome = fixture.catalog.commit_path(fixture.commit(number, number)).await;
        let was_cut = proxy.network() == Network::Up;
        proxy.set(Network::Up);
        let visible = fixture.visible().await;
        match outcome {
            Ok(_) => acknowledged.push(path_hash(number)),
            Err(CatalogError::Unavailable { .. }) => assert!(!visible.contains(&path_hash(number))),
            Err(CatalogError::Uncertain { .. }) => {
                if visible.contains(&path_hash(number)) {
                    acknowledged.push(path_hash(number));
                }
            }
            Err(error) => panic!("after {packets} packets: {error}"),
        }
        assert_eq!(visible, acknowledged, "after {packets} packets");
        if !was_cut {
            assert!(packets > 6, "it takes more packets than {packets}");
            break;
        }
    }
}

/// As a server does whose disk has no room for what a transaction writes.
const REFUSES_COMMITS: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON store_path DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse()";

#[tokio::test]
async fn what_is_acknowledged_after_commits_that_the_server_refused_is_there() {
    let backend = Backend::postgres();
    let fixture = backend.fixture().await;
    let (mut number, mut acknowledged) = (0, Vec::new());
    // Failures one after the other, and failures with something that works in between.
    for working in [0, 1, 0, 3, 2] {
        backend.database().run(REFUSES_COMMITS);
        let outcome = fixture.catalog.commit_path(fixture.commit(number, number)).await;
        assert!(matches!(outcome, Err(CatalogError::Unavailable { .. })), "{outcome:?}");
        number += 1;
        backend.database().run("DROP FUNCTION refuse() CASCADE");
        for _ in 0..working {
            fixture.create(number, number).await;
            acknowledged.push(path_hash(number));
            number += 1;
        }
        // A daemon beside it sees only what was committed.
        let other = Fixture { catalog: backend.open().await, ..fixture.clone() };
        assert_eq!(other.visible().await, acknowledged);
    }
}

#[tokio::test]
async fn a_commit_that_nobody_can_be_asked_about_is_uncertain() {
    let (_backend, proxy, fixture) = behind_network().await;
    proxy.set(Network::LosesNextAnswerAndGoesDown);
    let outcome = in_time(fixture.catalog.commit_path(fixture.commit(1, 1))).await;
    assert!(matches!(outcome, Err(CatalogError::Uncertain { .. })), "{outcome:?}");
    proxy.set(Network::Up);
    assert_eq!(fixture.visible().await, [path_hash(1)]);
}

#[tokio::test]
async fn a_daemon_that_freezes_while_it_writes_holds_up_the_others_for_seconds_only() {
    let backend = Backend::postgres();
    let frozen = backend.fixture().await;
    let other = Fixture { catalog: backend.open().await, ..frozen.clone() };
    let release = block_writer(&frozen.catalog).await;
    let begin = Instant::now();
    other.create(1, 1).await;
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    drop(release);
    // What froze is refused, and so is whatever waits behind it.
    if let Err(error) = frozen.catalog.commit_path(frozen.commit(2, 2)).await {
        assert!(matches!(error, CatalogError::Unavailable { .. }), "{error}");
        frozen.create(2, 2).await;
    }
    assert_eq!(other.visible().await, [1, 2].map(path_hash));
}

#[tokio::test]
async fn the_feed_survives_silence_and_restarts() {
    let (backend, proxy, fixture) = behind_network().await;
    let mut changes = Box::pin(listening(&fixture.catalog).await);
    let other = Fixture { catalog: backend.open().await, ..fixture.clone() };
    for (number, network) in [(1, Network::Silent), (2, Network::Down)] {
        proxy.set(network);
        let unheard = tokio::spawn({
            let other = other.clone();
            async move { other.create(number, number).await }
        });
        unheard.await.unwrap();
        let up = async {
            // That of the feed, which has noticed.
            proxy.wait_for_attempt().await;
            proxy.set(Network::Up);
        };
        let (heard, ()) = tokio::join!(changes.next(), up);
        assert_eq!(heard, Some(CatalogChange::Resync));
        other.create(number + 10, number + 10).await;
        let change = PathChange::Inserted;
        let expected = CatalogChange::Path { cache: fixture.cache, path: path_hash(number + 10), change };
        assert_eq!(changes.next().await, Some(expected));
    }
}

#[tokio::test]
async fn closing_does_not_wait_for_a_silent_server() {
    let (_backend, proxy, fixture) = behind_network().await;
    let _changes = Box::pin(listening(&fixture.catalog).await);
    proxy.set(Network::Silent);
    let begin = Instant::now();
    let reading = tokio::spawn({
        let fixture = fixture.clone();
        async move { fixture.catalog.find_path(fixture.cache, &path_hash(1)).await }
    });
    fixture.catalog.close().await;
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    reading.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_named_without_the_password() {
    let backend = Backend::postgres();
    let server = Server::shared().socket_directory();
    let host = server.display().to_string().replace('/', "%2F");
    for (url, expected) in [
        ("postgres://user:secret@127.0.0.1:1/db".to_owned(), "127.0.0.1:1/db"),
        (
            format!("postgres://postgres:secret@{host}/no_such_database"),
            "\"no_such_database\" does not exist",
        ),
        ("postgres://user:secret@%2Fno%2Fsuch%2Fdirectory/db".to_owned(), "/no/such/directory:5432/db"),
    ] {
        let error = in_time(Catalog::open(&url)).await.unwrap_err();
        assert!(matches!(error, CatalogError::Connect { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{message}");
    }
    drop(backend);
}
