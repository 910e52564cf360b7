#![allow(clippy::unwrap_used)]

use std::sync::mpsc;

use super::*;

const AT_ONCE: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_stuck_disk_costs_a_caller_a_bounded_delay() {
    let threads = Threads::new(3, AT_ONCE);
    let (release, released) = mpsc::channel::<()>();
    let stuck = move || Ok(released.recv().is_ok());
    let error = threads.run(stuck).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    release.send(()).unwrap();
}

#[tokio::test]
async fn a_stuck_disk_takes_a_bounded_number_of_threads_and_gives_them_back() {
    let threads = Threads::new(3, AT_ONCE);
    let releases: Vec<_> = {
        let mut releases = Vec::new();
        while threads.free.available_permits() > 0 {
            let (release, released) = mpsc::channel::<()>();
            let stuck = move || Ok(released.recv().is_ok());
            threads.run(stuck).await.unwrap_err();
            releases.push(release);
        }
        releases
    };
    assert_eq!(releases.len(), 3);
    let error = threads.run(|| Ok(())).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(releases);
    while threads.run(|| Ok(())).await.is_err() {}
}

#[test]
fn work_of_others_that_fills_the_pool_of_the_process_holds_nothing_up() {
    let mut builder = Builder::new_current_thread();
    let process = builder.enable_time().max_blocking_threads(1).build().unwrap();
    process.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let other = tokio::task::spawn_blocking(move || released.recv().is_ok());
        let threads = Threads::new(1, Duration::from_secs(60));
        assert_eq!(threads.run(|| Ok(42)).await.unwrap(), 42);
        release.send(()).unwrap();
        assert!(other.await.unwrap());
    });
}

#[tokio::test]
async fn a_storage_can_be_dropped_while_a_disk_holds_its_threads_up() {
    let threads = Threads::new(1, AT_ONCE);
    let (release, released) = mpsc::channel::<()>();
    threads.run(move || Ok(released.recv().is_ok())).await.unwrap_err();
    drop(threads);
    drop(release);
}
