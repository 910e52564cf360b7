//! Large files.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use nar_storage::{BlobBody, Durability, S3Settings, Storage};

use super::{Remote, eventually};
use crate::backend::{S3Backend, open_s3, settings};
use crate::proxy::Fault;
use crate::scenarios::{content, key, read_blocking, spool, spooled};

const PART: usize = 16 << 20;

async fn read(storage: &dyn Storage, size: usize) -> Bytes {
    let blob = storage.open(&key("nar/x.nar"), Some(size as u64), None).await.unwrap();
    blob.into_bytes().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_beyond_16_mib_are_stored_in_parts() {
    let backend = S3Backend::new().await;
    let storage = backend.storage.as_ref();
    for (size, parts) in [(PART, None), (PART + 1, Some(2)), (4 * PART + 5, Some(5))] {
        let content = content(size, 1);
        let file = spool(storage, "upload", &content);
        storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap();
        assert!(spooled(storage).is_empty());
        assert_eq!(backend.bucket.parts("root/main/nar/x.nar").await, parts);
        assert!(read(storage, size).await == content);
        assert!(read_blocking(&backend.storage, &key("nar/x.nar")).await.unwrap() == content);
        // Across the border of two parts, where there is one.
        let range = (PART - 10) as u64..size.min(PART + 10) as u64;
        let blob = storage.open(&key("nar/x.nar"), Some(size as u64), Some(range)).await.unwrap();
        assert_eq!(blob.into_bytes().await.unwrap(), content[PART - 10..size.min(PART + 10)]);
    }
    assert!(backend.bucket.uploads().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_fails_is_sent_again() {
    let remote = Remote::new().await;
    let size = 3 * PART;
    let content = content(size, 1);
    let file = spool(remote.storage.as_ref(), "upload", &content);
    remote.proxy.set(Fault::answer_some(3, 503, "")).await;
    remote.storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap();
    assert_eq!(remote.proxy.answered(), 3);
    assert!(read(remote.storage.as_ref(), size).await == content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_fails_leaves_no_parts_and_the_spooled_file() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let file = spool(storage, "upload", &content(4 * PART, 1));
    remote.proxy.set(Fault::CutUploadAfter(10 << 20)).await;
    let error = storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(file.exists());
    remote.proxy.set(None).await;
    eventually("the upload is aborted", async || remote.bucket.uploads().await.is_empty()).await;
    assert!(remote.bucket.objects().await.is_empty());
    // Nothing of it is in the way of the next attempt.
    storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_nobody_waits_for_any_more_leaves_no_parts() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let file = spool(storage, "upload", &content(4 * PART, 1));
    remote.proxy.set(Fault::StallUploadAfter(10 << 20)).await;
    let key = key("nar/x.nar");
    let put = storage.put_file(&key, &file, Durability::Now);
    let begun = async {
        eventually("parts are on their way", async || remote.proxy.at_limit() > 0).await;
        assert_eq!(remote.bucket.uploads().await.len(), 1);
    };
    tokio::select! {
        done = put => panic!("{done:?}"),
        () = begun => {}
    }
    remote.proxy.set(None).await;
    eventually("the upload is aborted", async || remote.bucket.uploads().await.is_empty()).await;
    assert!(remote.bucket.objects().await.is_empty());
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cancelled_before_its_id_is_known_is_aborted_all_the_same() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    let file = spool(storage, "upload", &content(2 * PART, 1));
    remote.proxy.set(Fault::Delay(Duration::from_secs(1))).await;
    let key = key("nar/x.nar");
    let put = storage.put_file(&key, &file, Durability::Now);
    // The service knows of it long before its answer arrives.
    let begun = eventually("the upload has begun", async || !remote.bucket.uploads().await.is_empty());
    tokio::select! {
        done = put => panic!("{done:?}"),
        () = begun => {}
    }
    eventually("the upload is aborted", async || remote.bucket.uploads().await.is_empty()).await;
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_stands_still_is_given_up() {
    let remote = Remote::new().await;
    let storage = remote.storage.as_ref();
    for size in [1 << 20, 2 * PART] {
        let file = spool(storage, "upload", &content(size, 1));
        remote.proxy.set(Fault::StallUploadAfter(100 << 10)).await;
        let error = storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap_err();
        assert!(error.is_unavailable() && error.to_string().contains("stood still"), "{error}");
        assert!(file.exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_a_crash_has_left_are_aborted_once_nobody_can_be_at_work_on_them() {
    let backend = S3Backend::new().await;
    for object in ["root/main/nar/x.nar", "root/main/nar/y.nar", "root/other/nar/x.nar"] {
        backend.bucket.begin_upload(object).await;
    }
    let directory = tempfile::tempdir().unwrap();
    open_s3(settings(&backend.garage.endpoint(), &directory)).await;
    assert_eq!(backend.bucket.uploads().await.len(), 3);
    let impatient =
        S3Settings { abandoned_after: Duration::ZERO, ..settings(&backend.garage.endpoint(), &directory) };
    open_s3(impatient).await;
    assert_eq!(backend.bucket.uploads().await, ["root/other/nar/x.nar"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_could_not_be_aborted_are_aborted_later_without_a_restart() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    let abandoned_after = Duration::from_millis(100);
    let settings = S3Settings { abandoned_after, ..settings(&backend.garage.endpoint(), &directory) };
    let storage = open_s3(settings).await;
    backend.bucket.begin_upload("root/main/nar/x.nar").await;
    let gone = eventually("the upload is aborted", async || {
        storage.probe().await.unwrap();
        backend.bucket.uploads().await.is_empty()
    });
    gone.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_takes_little_memory_in_either_direction() {
    const SIZE: u64 = 512 << 20;
    const LIMIT: u64 = 32 << 20;
    let backend = S3Backend::new().await;
    let storage = backend.storage.as_ref();
    let file = storage.spool_dir().join("sparse");
    fs::File::create(&file).unwrap().set_len(SIZE).unwrap();
    let key = key("nar/x.nar");
    // Connections and their threads are there before the measurement.
    crate::scenarios::put(storage, &key, &content(10, 1)).await;

    let before = anonymous_memory();
    let watch = tokio::spawn(async {
        let mut most = 0;
        loop {
            most = anonymous_memory().max(most);
            PEAK.store(most, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    storage.put_file(&key, &file, Durability::Now).await.unwrap();
    let putting = peak().saturating_sub(before);

    let blob = storage.open(&key, Some(SIZE), None).await.unwrap();
    let BlobBody::Stream(mut pieces) = blob.into_body() else { panic!("not a stream") };
    let mut read = 0;
    while let Some(piece) = pieces.next().await {
        read += piece.unwrap().len() as u64;
    }
    watch.abort();
    assert_eq!(read, SIZE);
    let reading = peak().saturating_sub(before);
    println!("grown by {} KiB while putting, {} KiB after reading", putting >> 10, reading >> 10);
    assert!(putting < LIMIT && reading < LIMIT, "{} KiB and {} KiB", putting >> 10, reading >> 10);
}

static PEAK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn peak() -> u64 {
    PEAK.load(std::sync::atomic::Ordering::Relaxed)
}

/// Anonymous resident memory of this process in bytes.
fn anonymous_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kib << 10
}
