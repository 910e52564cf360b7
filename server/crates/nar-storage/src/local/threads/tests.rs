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
