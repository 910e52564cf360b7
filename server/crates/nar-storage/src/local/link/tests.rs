#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::local::PhysicalCount;
use crate::{Durability, ReadCache, Storage};

const CONTENT: &[u8] = b"the same bytes";

fn key() -> Key {
    Key::new("nar/x.nar").unwrap()
}

/// A storage in a directory of its own below `directory`, with the object.
async fn storage(directory: &Path, name: &str) -> LocalStorage {
    let storage = LocalStorage::new(name, directory.join(name), &ReadCache::new(8));
    storage.prepare().await.unwrap();
    storage.put_bytes(&key(), Bytes::from_static(CONTENT), Durability::Now).await.unwrap();
    storage
}

async fn pair() -> (TempDir, [LocalStorage; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let storages = [storage(directory.path(), "a").await, storage(directory.path(), "b").await];
    (directory, storages)
}

async fn try_to_link(from: &LocalStorage, to: &LocalStorage) -> Linking {
    to.link_from(from, &key(), CONTENT.len() as u64).await.unwrap()
}

#[track_caller]
fn assert_apart(linking: Linking, reason: &str) {
    assert!(matches!(&linking, Linking::Apart(told) if told.contains(reason)), "{linking:?}");
}

async fn link(from: &LocalStorage, to: &LocalStorage) {
    match try_to_link(from, to).await {
        Linking::Ready(link) => to.replace_by_link(&key(), link).await.unwrap(),
        other => panic!("{other:?}"),
    }
    to.sync(&[key()]).await.unwrap();
}

async fn read(storage: &LocalStorage) -> Option<Bytes> {
    match storage.open(&key(), None, None).await {
        Ok(blob) => Some(blob.into_bytes().await.unwrap()),
        Err(error) if error.is_not_found() => None,
        Err(error) => panic!("{error}"),
    }
}

async fn identity(storage: &LocalStorage) -> Option<FileIdentity> {
    storage.identify(&key()).await.unwrap()
}

async fn count(storages: &[LocalStorage]) -> (u64, u64, u64) {
    let mut count = PhysicalCount::default();
    for storage in storages {
        count = storage.count_physical(count).await.unwrap();
    }
    (count.files, count.file_bytes, count.physical_bytes)
}

#[tokio::test]
async fn a_linked_object_counts_once_and_outlives_the_other() {
    let (_directory, [a, b]) = pair().await;
    assert_eq!(read(&b).await.unwrap(), CONTENT);
    link(&a, &b).await;
    assert!(identity(&a).await.is_some() && identity(&a).await == identity(&b).await);
    assert!(matches!(try_to_link(&a, &b).await, Linking::Linked));
    assert!(matches!(try_to_link(&b, &a).await, Linking::Linked));
    let size = CONTENT.len() as u64;
    let both = [a, b];
    assert_eq!(count(&both).await, (2, 2 * size, size));
    let [a, b] = both;
    assert!(a.delete(&key()).await.unwrap());
    assert_eq!((read(&a).await, read(&b).await), (None, Some(Bytes::from_static(CONTENT))));
    assert_eq!(identity(&a).await, None);
    assert_eq!(count(&[a, b]).await, (1, size, size));
}

#[tokio::test]
async fn an_object_that_is_stored_anew_leaves_the_other_alone() {
    let (_directory, [a, b]) = pair().await;
    link(&a, &b).await;
    a.put_bytes(&key(), Bytes::from_static(b"new"), Durability::Now).await.unwrap();
    assert_eq!((read(&a).await.unwrap(), read(&b).await.unwrap()), ("new".into(), CONTENT.into()));
}

#[tokio::test]
async fn a_name_that_somebody_else_removes_is_missed_although_the_file_has_another() {
    let (directory, [a, b]) = pair().await;
    link(&a, &b).await;
    for storage in [&a, &b] {
        assert_eq!(read(storage).await.unwrap(), CONTENT);
    }
    fs::remove_file(directory.path().join("a/nar/x.nar")).unwrap();
    assert_eq!((read(&a).await, read(&b).await), (None, Some(Bytes::from_static(CONTENT))));
    // As is one that now belongs to another file.
    fs::write(directory.path().join("a/nar/x.nar"), CONTENT).unwrap();
    link(&b, &a).await;
    assert_eq!(read(&a).await.unwrap(), CONTENT);
    fs::write(directory.path().join("new"), b"other bytes").unwrap();
    fs::rename(directory.path().join("new"), directory.path().join("a/nar/x.nar")).unwrap();
    assert_eq!(read(&a).await.unwrap().as_ref(), b"other bytes");
}

#[tokio::test]
async fn objects_of_different_modes_sizes_or_readers_stay_apart() {
    let (directory, [a, b]) = pair().await;
    let file = directory.path().join("a/nar/x.nar");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert_apart(try_to_link(&a, &b).await, "modes");
    assert_apart(try_to_link(&b, &a).await, "modes");
    let mode = fs::metadata(directory.path().join("b/nar/x.nar")).unwrap().permissions();
    fs::set_permissions(&file, mode).unwrap();
    b.set_private(true);
    assert_apart(try_to_link(&a, &b).await, "readers");
    a.set_private(true);
    link(&a, &b).await;
    fs::remove_file(&file).unwrap();
    assert_apart(try_to_link(&a, &b).await, "missing");
    fs::write(&file, b"short").unwrap();
    assert_apart(try_to_link(&a, &b).await, "size");
    assert_eq!(read(&b).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn objects_on_different_file_systems_stay_apart_and_nobody_is_to_blame() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let (a, b) = (storage(directory.path(), "a").await, storage(elsewhere.path(), "b").await);
    let device = |directory: &TempDir| fs::metadata(directory.path()).unwrap().dev();
    assert_ne!(device(&directory), device(&elsewhere), "two file systems");
    assert!(matches!(try_to_link(&a, &b).await, Linking::Apart(_)));
    assert_eq!((read(&a).await.unwrap(), read(&b).await.unwrap()), (CONTENT.into(), CONTENT.into()));
}

#[tokio::test]
async fn a_link_that_was_left_in_the_spool_is_removed_by_the_next_start() {
    let (directory, [a, b]) = pair().await;
    let Linking::Ready(link) = try_to_link(&a, &b).await else { panic!("they can be linked") };
    assert!(link.path.exists());
    assert_eq!(crate::spooled_bytes(b.spool_dir()).unwrap(), 0, "it takes no room");
    drop(b);
    let b = LocalStorage::new("b", directory.path().join("b"), &ReadCache::new(8));
    b.prepare().await.unwrap();
    assert!(!link.path.exists());
    assert_eq!((read(&a).await.unwrap(), read(&b).await.unwrap()), (CONTENT.into(), CONTENT.into()));
}
