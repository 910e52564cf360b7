//! What is particular to directories.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future};
use nar_storage::{BlobBody, Durability, LocalStorage, ReadCache, Storage};

use crate::backend::{LocalBackend, open_local};
use crate::scenarios::{content, get, key, put, spool};

#[tokio::test]
async fn the_directory_is_a_plain_binary_cache_beside_a_private_spool_and_a_marker() {
    let backend = LocalBackend::new().await;
    put(backend.storage.as_ref(), &key("nar/x.nar"), &content(10, 1)).await;
    assert_eq!(fs::read(backend.root().join("nar/x.nar")).unwrap(), content(10, 1));
    let names: Vec<_> =
        fs::read_dir(backend.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let mode = fs::metadata(backend.storage.spool_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_directory_that_is_gone_is_an_unavailable_storage_not_an_empty_one() {
    let backend = LocalBackend::new().await;
    let storage = backend.storage.as_ref();
    let key = key("nar/x.nar");
    put(storage, &key, &content(10, 1)).await;
    // Like a disk that is no longer mounted: what is left is an empty mount point.
    let elsewhere = backend.directory.path().join("elsewhere");
    fs::rename(backend.root(), &elsewhere).unwrap();
    fs::create_dir(backend.root()).unwrap();

    let missing = crate::scenarios::key("nar/y.nar");
    let error = storage.open(&missing, None, None).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(storage.open_blocking(&missing).err().unwrap().is_unavailable());
    assert!(storage.head(&missing).await.unwrap_err().is_unavailable());
    assert!(storage.delete(&missing).await.unwrap_err().is_unavailable());
    assert!(storage.usage().await.unwrap_err().is_unavailable());
    for prefix in ["", "nar/"] {
        let listed: Vec<_> = storage.list(prefix).collect().await;
        assert!(matches!(listed.as_slice(), [Err(error)] if error.is_unavailable()), "{listed:?}");
    }
    assert!(storage.put_bytes(&missing, Bytes::new(), Durability::Now).await.unwrap_err().is_unavailable());
    assert_eq!(fs::read_dir(backend.root()).unwrap().count(), 0, "something was written to the mount point");

    fs::remove_dir(backend.root()).unwrap();
    fs::rename(&elsewhere, backend.root()).unwrap();
    storage.probe().await.unwrap();
    assert_eq!(get(storage, &key).await.unwrap(), content(10, 1));
}

#[tokio::test]
async fn a_probe_restores_directories_that_someone_has_removed() {
    let backend = LocalBackend::new().await;
    let storage = backend.storage.as_ref();
    put(storage, &key("log/x.drv"), &content(10, 1)).await;
    for directory in ["log", "nar", ".spool"] {
        fs::remove_dir_all(backend.root().join(directory)).unwrap();
    }
    let error = storage.put_bytes(&key("nar/x.nar"), content(10, 1), Durability::Now).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    storage.probe().await.unwrap();
    for key in ["log/x.drv", "nar/x.nar"].map(key) {
        put(storage, &key, &content(10, 1)).await;
        assert_eq!(get(storage, &key).await.unwrap(), content(10, 1));
    }
    let mode = fs::metadata(storage.spool_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_storage_that_was_dead_at_start_is_ready_once_a_probe_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("main");
    fs::write(&root, "in the way").unwrap();
    let storage = LocalStorage::new("disk1", root.clone(), &ReadCache::new(1));
    storage.prepare().await.unwrap_err();
    storage.probe().await.unwrap_err();
    fs::remove_file(&root).unwrap();
    storage.probe().await.unwrap();
    put(&storage, &key("nar/x.nar"), &content(10, 1)).await;
}

#[tokio::test]
async fn one_directory_is_one_storage_at_a_time() {
    let backend = LocalBackend::new().await;
    let upload = spool(backend.storage.as_ref(), "upload", b"bytes");
    let second = LocalStorage::new("second", backend.root(), &ReadCache::new(1));
    let error = second.prepare().await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(upload.exists());
    drop(backend.storage);
    second.prepare().await.unwrap();
    assert!(!upload.exists());
}

#[tokio::test]
async fn storages_that_share_a_read_cache_keep_their_objects_apart() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ReadCache::new(8);
    let storages = ["a", "b"].map(|name| LocalStorage::new(name, directory.path().join(name), &cache));
    for (seed, storage) in (0..).zip(&storages) {
        storage.prepare().await.unwrap();
        put(storage, &key("nar/x.nar"), &content(10, seed)).await;
    }
    for _ in 0..2 {
        for (seed, storage) in (0..).zip(&storages) {
            assert_eq!(get(storage, &key("nar/x.nar")).await.unwrap(), content(10, seed));
        }
    }
}

#[tokio::test]
async fn a_cache_of_no_open_files_is_a_valid_choice() {
    let directory = tempfile::tempdir().unwrap();
    let storage = LocalStorage::new("disk1", directory.path().join("main"), &ReadCache::new(0));
    storage.prepare().await.unwrap();
    put(&storage, &key("nar/x.nar"), &content(1000, 1)).await;
    for _ in 0..2 {
        assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(1000, 1));
    }
}

#[tokio::test]
async fn a_file_spooled_on_another_file_system_is_copied() {
    let backend = LocalBackend::new().await;
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(other.path()), device(backend.directory.path()), "this test needs two file systems");
    let file = other.path().join("upload");
    let content = content(3 << 20, 1);
    fs::write(&file, &content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let key = key("nar/x.nar");
    backend.storage.put_file(&key, &file, Durability::Now).await.unwrap();
    assert!(!file.exists());
    assert!(get(backend.storage.as_ref(), &key).await.unwrap() == content);
    assert_eq!(fs::metadata(backend.path(&key)).unwrap().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn foreign_files_are_not_listed() {
    let backend = LocalBackend::new().await;
    put(backend.storage.as_ref(), &key("a.narinfo"), &content(10, 1)).await;
    fs::write(backend.root().join(".hidden"), "x").unwrap();
    fs::write(backend.root().join("with space"), "x").unwrap();
    std::os::unix::fs::symlink(backend.root(), backend.root().join("loop")).unwrap();
    assert_eq!(backend.storage.list("").count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slow_readers_hold_a_bounded_amount_of_memory() {
    const READERS: usize = 64;
    const SIZE: u64 = 1 << 30;
    let backend = LocalBackend::new().await;
    let file = backend.storage.spool_dir().join("sparse");
    fs::File::create(&file).unwrap().set_len(SIZE).unwrap();
    let key = key("nar/x.nar");
    backend.storage.put_file(&key, &file, Durability::Later).await.unwrap();
    let before = resident();
    let readers = (0..READERS).map(|_| async {
        let blob = backend.storage.open(&key, Some(SIZE), None).await.unwrap();
        let BlobBody::Stream(mut pieces) = blob.into_body() else { panic!("not a stream") };
        // Two pieces on their way, as a connection has them.
        let mut held = Vec::new();
        for _ in 0..64 {
            held.insert(0, pieces.next().await.unwrap().unwrap());
            held.truncate(2);
        }
        (pieces, held)
    });
    let held = future::join_all(readers).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{READERS} readers hold {} KiB", grown >> 10);
    drop(held);
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn a_hot_object_is_read_without_another_thread() {
    let backend = LocalBackend::new().await;
    let key = key("nar/x.nar");
    put(backend.storage.as_ref(), &key, &content(1000, 1)).await;
    get(backend.storage.as_ref(), &key).await.unwrap();
    let blob = backend.storage.open(&key, Some(1000), None).now_or_never().expect("it had to wait").unwrap();
    assert_eq!(blob.into_bytes().await.unwrap(), content(1000, 1));
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("main");
    let key = key("nar/x.nar");
    put(open_local(root.clone()).await.as_ref(), &key, &content(10, 1)).await;
    let storage: Arc<dyn Storage> = open_local(root).await;
    assert_eq!(get(storage.as_ref(), &key).await.unwrap(), content(10, 1));
}
