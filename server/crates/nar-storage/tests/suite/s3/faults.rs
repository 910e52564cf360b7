//! A service that is dead, slow, or somebody else.

use std::io;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, future};
use nar_storage::{Blob, BlobBody, Durability, Key, S3Storage, Storage, StorageError};

use super::Remote;
use crate::backend::settings;
use crate::proxy::Fault;
use crate::scenarios::{content, get, key, put, read_blocking, spool};

const SIZE: usize = 8 << 20;

/// All ways to ask a storage for something that a client waits for.
async fn ask(remote: &Remote, key: &Key, size: usize) -> Vec<(&'static str, StorageError, Duration)> {
    let storage = remote.storage.as_ref();
    let mut answers = Vec::new();
    let begun = Instant::now();
    let mut note = |what, answer: Result<String, StorageError>, begun: Instant| {
        let error = answer.expect_err(what);
        answers.push((what, error, begun.elapsed()));
        Instant::now()
    };
    let show = |blob: Blob| format!("{blob:?}");
    let begun = note("open", storage.open(key, Some(size as u64), None).await.map(show), begun);
    let begun = note("range", storage.open(key, Some(size as u64), Some(1..2)).await.map(show), begun);
    let begun = note("nothing", storage.open(key, Some(size as u64), Some(1..1)).await.map(show), begun);
    let begun = note("head", storage.head(key).await.map(|size| format!("{size:?}")), begun);
    let begun = note("delete", storage.delete(key).await.map(|there| format!("{there}")), begun);
    let begun = note("probe", storage.probe().await.map(|()| "fine".into()), begun);
    let blocking = read_blocking(&remote.storage, key).await.map(|bytes| format!("{} bytes", bytes.len()));
    note("blocking", blocking, begun);
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_service_is_known_to_be_dead_within_2_seconds() {
    let remote = Remote::new().await;
    let key = key("nar/x.nar");
    put(remote.storage.as_ref(), &key, &content(SIZE, 1)).await;
    for fault in [Fault::Refuse, Fault::Stall, Fault::CutAfter(0), Fault::StallAfter(20)] {
        remote.proxy.set(fault.clone()).await;
        for (what, error, took) in ask(&remote, &key, SIZE).await {
            assert!(error.is_unavailable() && !error.is_lost(), "{fault:?}: {what}: {error}");
            assert!(took < Duration::from_secs(2), "{fault:?}: {what} took {took:?}");
        }
    }
    remote.proxy.set(None).await;
    remote.storage.probe().await.unwrap();
    assert!(get(remote.storage.as_ref(), &key).await.unwrap() == content(SIZE, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_service_does_not_keep_a_reader_for_longer_than_2_seconds() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let (there, missing) = (key("nar/x.nar"), key("nar/missing.nar"));
    put(storage, &there, &content(1000, 1)).await;
    remote.proxy.set(Fault::Delay(Duration::from_millis(2500))).await;
    for (what, error, took) in ask(&remote, &there, 1000).await {
        assert!(error.is_unavailable() && !error.is_lost(), "{what}: {error}");
        assert!(took < Duration::from_secs(2), "{what} took {took:?}");
    }
    // Each answer would come in time, but it takes two to know that an object is missing.
    remote.proxy.set(Fault::Delay(Duration::from_millis(1000))).await;
    let begun = Instant::now();
    let error = storage.head(&missing).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Slow is not dead. An answer may come in several pieces, each of them late.
    remote.proxy.set(Fault::Delay(Duration::from_millis(50))).await;
    assert_eq!(storage.head(&missing).await.unwrap(), None);
    assert_eq!(storage.open(&there, Some(1000), None).await.unwrap().len(), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_whose_bytes_do_not_come_is_not_promised() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let key = key("nar/x.nar");
    for size in [1000, SIZE] {
        remote.proxy.set(None).await;
        put(storage, &key, &content(size, 1)).await;
        remote.proxy.set(Fault::StallAfterHead).await;
        for range in [None, Some(1..900)] {
            let begun = Instant::now();
            let error = storage.open(&key, Some(size as u64), range).await.unwrap_err();
            assert!(error.is_unavailable(), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
        // Who knows only that it is there is not kept waiting.
        assert_eq!(storage.head(&key).await.unwrap(), Some(size as u64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_somebody_else_answers_is_believed() {
    let remote = Remote::new().await;
    let key = key("nar/x.nar");
    put(remote.storage.as_ref(), &key, &content(SIZE, 1)).await;
    let page = "<html><body>Please log in</body></html>";
    let xml = "<Error><Code>Other</Code><Message>no</Message></Error>";
    for fault in [
        Fault::answer(200, page),
        Fault::answer(206, page),
        Fault::answer(404, page),
        Fault::answer(404, ""),
        Fault::answer(404, xml),
        Fault::answer(403, page),
        Fault::answer(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"),
        Fault::answer(302, page),
        Fault::answer(418, ""),
        Fault::answer(500, page),
        Fault::answer(503, ""),
        Fault::Answer(u32::MAX, "SSH-2.0-OpenSSH_10.0\r\n".into()),
        Fault::Answer(u32::MAX, "HTTP/1.1 200 OK\r\n\r\n".into()),
    ] {
        remote.proxy.set(fault.clone()).await;
        for (what, error, took) in ask(&remote, &key, SIZE).await {
            assert!(error.is_unavailable() && !error.is_lost(), "{fault:?}: {what}: {error}");
            assert!(!error.to_string().contains(['\n', '\r']), "{error:?}");
            assert!(took < Duration::from_secs(2), "{fault:?}: {what} took {took:?}");
        }
        let listed = remote.storage.list("").try_collect::<Vec<_>>().await;
        assert!(listed.is_err_and(|error| error.is_unavailable()), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_once_is_tried_again() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let key = key("nar/x.nar");
    for status in [429, 500, 502, 503, 504] {
        remote.proxy.set(Fault::answer_some(1, status, "")).await;
        put(storage, &key, &content(1000, 1)).await;
        assert_eq!(remote.proxy.answered(), 1);
        remote.proxy.set(Fault::answer_some(1, status, "")).await;
        assert_eq!(get(storage, &key).await.unwrap(), content(1000, 1));
        remote.proxy.set(Fault::answer_some(1, status, "")).await;
        assert_eq!(storage.head(&key).await.unwrap(), Some(1000));
    }
    // Who stores something has more time than who reads.
    remote.proxy.set(Fault::answer_some(3, 503, "<Error><Code>SlowDown</Code></Error>")).await;
    let file = spool(storage, "upload", &content(1000, 2));
    storage.put_file(&key, &file, Durability::Now).await.unwrap();
    assert_eq!(remote.proxy.answered(), 3);
    remote.proxy.set(None).await;
    assert_eq!(get(storage, &key).await.unwrap(), content(1000, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_refuses_a_put_leaves_the_spooled_file_for_another_storage() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    for size in [1000, 20 << 20] {
        let key = key(&format!("nar/{size}.nar"));
        // With the last one the service hears the request: it may have the object although nobody was told so.
        for fault in [Fault::Refuse, Fault::answer(403, ""), Fault::answer(200, ""), Fault::CutAfter(0)] {
            let file = spool(storage, "upload", &content(size, 1));
            remote.proxy.set(fault.clone()).await;
            let error = storage.put_file(&key, &file, Durability::Now).await.unwrap_err();
            assert!(error.is_unavailable(), "{fault:?}: {error}");
            assert!(file.exists());
            if !matches!(fault, Fault::CutAfter(_)) {
                let objects = remote.bucket.objects().await;
                assert!(objects.iter().all(|(name, _)| !name.ends_with(&key.to_string())), "{fault:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_never_passes_for_a_whole_one() {
    let remote = Remote::new().await;
    let key = key("nar/x.nar");
    put(remote.storage.as_ref(), &key, &content(SIZE, 1)).await;
    for after in [100 << 10, 3 << 20, (SIZE as u64) - 1] {
        remote.proxy.set(Fault::CutAfter(after)).await;
        let blob = remote.storage.open(&key, Some(SIZE as u64), None).await.unwrap();
        let BlobBody::Stream(pieces) = blob.into_body() else { panic!("not a stream") };
        let pieces: Vec<_> = pieces.collect().await;
        let (last, read) = pieces.split_last().unwrap();
        assert!(last.is_err());
        let read: Vec<u8> = read.iter().flat_map(|piece| piece.as_ref().unwrap().to_vec()).collect();
        assert!(read.len() as u64 <= after && read == content(SIZE, 1)[..read.len()]);
        let (storage, of) = (remote.storage.clone(), key.clone());
        let blocking = move || {
            let mut all = Vec::new();
            storage.open_blocking(&of).unwrap().read_to_end(&mut all)
        };
        tokio::task::spawn_blocking(blocking).await.unwrap().unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stands_still_is_given_up() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let (large, small) = (key("nar/x.nar"), key("nar/y.nar"));
    put(storage, &large, &content(SIZE, 1)).await;
    put(storage, &small, &content(100_000, 2)).await;
    remote.proxy.set(Fault::StallAfter(50_000)).await;
    let reads = [(large, SIZE), (small, 100_000)].map(|(key, size)| async move {
        let begun = Instant::now();
        let blob = storage.open(&key, Some(size as u64), None).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "opening took {:?}", begun.elapsed());
        let error = blob.into_bytes().await.map(|bytes| bytes.len()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(15), "giving up took {:?}", begun.elapsed());
    });
    future::join_all(reads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_was_dead_at_start_is_ready_once_a_probe_succeeds() {
    let remote = Remote::new().await;
    remote.proxy.set(Fault::Refuse).await;
    let directory = tempfile::tempdir().unwrap();
    let storage = S3Storage::new(settings(&remote.proxy.endpoint(), &directory)).await;
    storage.prepare().await.unwrap_err();
    storage.probe().await.unwrap_err();
    // Its spool is there all the same: what is spooled in it can go elsewhere.
    let upload = spool(&storage, "upload", b"bytes");
    remote.proxy.set(None).await;
    storage.probe().await.unwrap();
    assert!(upload.exists());
    put(&storage, &key("nar/x.nar"), &content(10, 1)).await;
}
