#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use super::*;
use crate::{Durability, Key, LocalStorage, ReadCache, Storage};

#[tokio::test]
async fn a_remote_file_system_that_only_blocking_threads_read_holds_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let open = || LocalStorage::new("disk1", directory.path().to_owned(), &ReadCache::new(1));
    let prepared = open();
    prepared.prepare().await.unwrap();
    let ready =
        Ready { inline: false, marker: prepared.marker().unwrap(), _lock: tempfile::tempfile().unwrap() };
    let storage = open();
    assert!(storage.shared.ready.set(ready).is_ok());
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
