#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use futures_util::future;

use super::*;

impl DirSync {
    async fn sync(self: &Arc<Self>, directory: PathBuf) -> io::Result<()> {
        self.begin(directory).finish().await
    }
}

#[tokio::test]
async fn whoever_arrives_during_a_sync_shares_the_next_one() {
    let rounds = Arc::new(AtomicUsize::new(0));
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel();
    let may_leave = Mutex::new(may_leave);
    let sync = {
        let rounds = rounds.clone();
        Arc::new(DirSync::new(move |_: &Path| {
            rounds.fetch_add(1, Ordering::SeqCst);
            entered.send(()).unwrap();
            may_leave.lock().recv().unwrap();
            Ok(())
        }))
    };
    let start = || {
        let sync = sync.clone();
        tokio::spawn(async move { sync.sync("/nar".into()).await })
    };
    let first = start();
    while has_entered.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..10).map(|_| start()).collect();
    while sync.waiting.lock()[Path::new("/nar")].len() < 10 {
        tokio::task::yield_now().await;
    }
    leave.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(others.iter().all(|other| !other.is_finished()), "served by a sync that began too early");
    leave.send(()).unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(rounds.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_failed_sync_fails_for_everyone_who_waited_and_the_next_one_is_tried_anew() {
    let fails = Arc::new(AtomicUsize::new(1));
    let sync = {
        let fails = fails.clone();
        let fsync = move |_: &Path| if fails.load(Ordering::SeqCst) > 0 { Err(Errno::IO) } else { Ok(()) };
        Arc::new(DirSync::new(fsync))
    };
    let results = future::join_all((0..4).map(|_| sync.sync("/nar".into()))).await;
    assert!(
        results
            .into_iter()
            .all(|result| result.unwrap_err().raw_os_error() == Some(Errno::IO.raw_os_error()))
    );
    fails.store(0, Ordering::SeqCst);
    sync.sync("/nar".into()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_kept_of_directories_that_nobody_waits_for() {
    let sync = Arc::new(DirSync::new(|_: &Path| Ok(())));
    future::join_all((0..100).map(|number| sync.sync(format!("/{number}").into()))).await;
    while !sync.waiting.lock().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_real_directory_is_synced_and_a_missing_one_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let sync = Arc::new(DirSync::new(fsync));
    sync.sync(directory.path().to_owned()).await.unwrap();
    let error = sync.sync(directory.path().join("absent")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
