#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use super::*;
use crate::{Durability, Key, LocalStorage, ReadCache, Storage};

/// A storage that believes to have been prepared on `device`.
fn prepared_on(device: u64, root: &Path) -> LocalStorage {
    let storage = LocalStorage::new("disk1", root.to_owned(), &ReadCache::new(1));
    let ready = Ready { inline: false, device, _lock: tempfile::tempfile().unwrap() };
    assert!(storage.shared.ready.set(ready).is_ok());
    storage
}

#[tokio::test]
async fn a_probe_does_not_make_a_storage_of_an_empty_mount_point() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("main");
    let device = fs::metadata(directory.path()).unwrap().dev();
    let error = prepared_on(device + 1, &root).probe().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(!root.exists());
    prepared_on(device, &root).probe().await.unwrap();
    assert!(root.join("nar").is_dir());
}

#[tokio::test]
async fn a_remote_file_system_that_only_blocking_threads_read_holds_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let storage = prepared_on(fs::metadata(directory.path()).unwrap().dev(), directory.path());
    storage.probe().await.unwrap();
    let key = Key::new("nar/x.nar").unwrap();
    for size in [0, 1000, 3 << 20] {
        let content = Bytes::from(vec![7; size]);
        storage.put_bytes(&key, content.clone(), Durability::Now).await.unwrap();
        for _ in 0..2 {
            let blob = storage.open(&key, Some(size as u64), None).await.unwrap();
            assert!(blob.into_bytes().await.unwrap() == content);
        }
    }
}

#[test]
fn file_systems_are_told_apart() {
    assert!(!is_local(Path::new("/proc")).unwrap());
    assert!(is_local(Path::new("/dev/shm")).unwrap());
}
