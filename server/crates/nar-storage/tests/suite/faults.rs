//! The wrapper fails as it is told to, and what reaches a caller is what the trait promises.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use nar_storage::testing::{Fault, FaultyStorage};
use nar_storage::{Blob, BlobBody, Durability, Storage};

use crate::backend::LocalBackend;
use crate::scenarios::{content, get, key, put, spool};

/// One that is read at once, and one that is streamed.
const SIZES: [usize; 2] = [1000, 4 << 20];

async fn faulty() -> (LocalBackend, FaultyStorage) {
    let backend = LocalBackend::new().await;
    let storage = FaultyStorage::new(backend.storage.clone());
    (backend, storage)
}

async fn open_with(storage: &FaultyStorage, size: usize, fault: Fault) -> Blob {
    let key = key("nar/x.nar");
    put(storage, &key, &content(size, 1)).await;
    storage.set(fault);
    let blob = storage.open(&key, Some(size as u64), None).await.unwrap();
    storage.set(None);
    blob
}

#[tokio::test]
async fn a_short_read_is_an_error_for_the_reader() {
    let (_backend, storage) = faulty().await;
    for size in SIZES {
        let blob = open_with(&storage, size, Fault::ShortRead(700)).await;
        assert_eq!(blob.into_bytes().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_read_error_comes_after_the_bytes_before_it() {
    let (_backend, storage) = faulty().await;
    for size in SIZES {
        let blob = open_with(&storage, size, Fault::ReadError(700)).await;
        let BlobBody::Stream(pieces) = blob.into_body() else { panic!("not a stream") };
        let pieces: Vec<_> = pieces.collect().await;
        assert_eq!(pieces[0].as_ref().unwrap(), &content(size, 1)[..700]);
        assert!(pieces[1].is_err());
        assert_eq!(pieces.len(), 2);
    }
}

#[tokio::test]
async fn a_stalled_read_hands_out_nothing_more() {
    let (_backend, storage) = faulty().await;
    for size in SIZES {
        let blob = open_with(&storage, size, Fault::StalledRead(700)).await;
        let BlobBody::Stream(mut pieces) = blob.into_body() else { panic!("not a stream") };
        assert_eq!(pieces.next().await.unwrap().unwrap().len(), 700);
        assert!(pieces.next().now_or_never().is_none());
    }
}

/// Reads an object on a blocking thread as far as that goes.
async fn read_blocking(storage: &Arc<FaultyStorage>) -> (Vec<u8>, io::Result<usize>) {
    let storage = storage.clone();
    let read = move || {
        let mut bytes = Vec::new();
        let end = storage.open_blocking(&key("nar/x.nar")).unwrap().read_to_end(&mut bytes);
        (bytes, end)
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test]
async fn a_body_read_on_a_blocking_thread_breaks_off_as_well() {
    let (_backend, storage) = faulty().await;
    let storage = Arc::new(storage);
    put(storage.as_ref(), &key("nar/x.nar"), &content(1000, 1)).await;
    storage.set(Fault::ShortRead(700));
    assert_eq!(read_blocking(&storage).await.0, content(1000, 1)[..700]);
    storage.set(Fault::ReadError(700));
    let (bytes, end) = read_blocking(&storage).await;
    assert!(bytes == content(1000, 1)[..700] && end.is_err());
    storage.set(Fault::StalledRead(700));
    let mut reading = Box::pin(read_blocking(&storage));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut reading).await.is_err());
    storage.set(None);
    let (bytes, end) = reading.await;
    assert!(bytes == content(1000, 1)[..700] && end.is_err());
}

#[tokio::test]
async fn an_object_that_is_missing_is_back_when_the_fault_is_lifted() {
    let (_backend, storage) = faulty().await;
    let key = key("nar/x.nar");
    put(&storage, &key, &content(10, 1)).await;
    storage.set(Fault::Missing);
    assert!(get(&storage, &key).await.unwrap_err().is_not_found());
    assert_eq!(storage.head(&key).await.unwrap(), None);
    storage.probe().await.unwrap();
    storage.set(None);
    assert_eq!(get(&storage, &key).await.unwrap(), content(10, 1));
}

#[tokio::test]
async fn a_hanging_storage_goes_on_when_the_fault_is_lifted() {
    let (_backend, storage) = faulty().await;
    let key = key("nar/x.nar");
    put(&storage, &key, &content(10, 1)).await;
    storage.set(Fault::Hanging);
    let mut head = storage.head(&key);
    let mut listing = storage.list("").collect::<Vec<_>>();
    for _ in 0..2 {
        assert!((&mut head).now_or_never().is_none() && (&mut listing).now_or_never().is_none());
    }
    storage.set(None);
    assert_eq!(head.await.unwrap(), Some(10));
    assert_eq!(listing.await.len(), 1);
}

#[tokio::test]
async fn an_object_deleted_elsewhere_was_not_there() {
    let (_backend, storage) = faulty().await;
    let key = key("nar/x.nar");
    put(&storage, &key, &content(10, 1)).await;
    storage.set(Fault::DeletedElsewhere);
    assert!(!storage.delete(&key).await.unwrap());
    assert!(get(&storage, &key).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_full_storage_leaves_the_spooled_file_for_another_one() {
    let (_backend, storage) = faulty().await;
    let key = key("nar/x.nar");
    let file = spool(&storage, "upload", b"bytes");
    storage.set(Fault::Full);
    assert!(storage.put_file(&key, &file, Durability::Now).await.unwrap_err().is_full());
    assert!(storage.put_bytes(&key, Bytes::new(), Durability::Later).await.unwrap_err().is_full());
    let other = LocalBackend::new().await;
    other.storage.put_file(&key, &file, Durability::Now).await.unwrap();
    assert!(!file.exists());
    assert_eq!(get(other.storage.as_ref(), &key).await.unwrap(), "bytes");
}

#[tokio::test]
async fn nothing_works_on_an_unavailable_storage_and_nothing_is_lost() {
    let (_backend, storage) = faulty().await;
    let key = key("nar/x.nar");
    put(&storage, &key, &content(10, 1)).await;
    storage.set(Fault::Unavailable);
    let storage = Arc::new(storage);
    let shared: Arc<dyn Storage> = storage.clone();
    assert!(crate::scenarios::read_blocking(&shared, &key).await.unwrap_err().is_unavailable());
    assert!(storage.open(&key, None, None).await.unwrap_err().is_unavailable());
    assert!(storage.head(&key).await.unwrap_err().is_unavailable());
    assert!(storage.delete(&key).await.unwrap_err().is_unavailable());
    assert!(storage.sync(&[]).await.unwrap_err().is_unavailable());
    assert!(storage.usage().await.unwrap_err().is_unavailable());
    assert!(storage.probe().await.unwrap_err().is_unavailable());
    assert!(storage.list("").next().await.unwrap().unwrap_err().is_unavailable());
    storage.set(None);
    assert_eq!(get(shared.as_ref(), &key).await.unwrap(), content(10, 1));
}
