//! A directory is the storage, or it is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use nar_storage::{Durability, Key, LocalStorage, ReadCache, Storage, StorageError};

use crate::mounts::{Mount, run_test};
use crate::scenarios::{content, get, key, list, put, spool};

const MARKER: &str = ".cache-server-storage";

/// A storage in `root` that is expected to be marked with `marker`. Not prepared.
fn storage(root: &Path, marker: Option<&str>) -> LocalStorage {
    let expected = marker.map(str::to_owned);
    LocalStorage::new("disk1", root.to_owned(), &ReadCache::new(8)).with_marker(expected)
}

async fn prepared(root: &Path, marker: Option<&str>) -> LocalStorage {
    let storage = storage(root, marker);
    storage.prepare().await.unwrap();
    storage
}

/// A storage that has an object, which ends at once. Returns its id.
async fn leave_storage(root: &Path) -> String {
    let storage = prepared(root, None).await;
    put(&storage, &key("nar/x.nar"), &content(10, 1)).await;
    storage.marker().unwrap()
}

/// Everything below a directory.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Nothing works on the storage, nothing is said to be missing, and nothing is changed below `watched`.
async fn is_refused(storage: &LocalStorage, watched: &Path, says: &[&str]) {
    let before = tree(watched);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("upload");
    fs::write(&file, "bytes").unwrap();
    let (there, missing) = (key("nar/x.nar"), key("nar/missing.nar"));
    let bytes = || Bytes::from_static(b"bytes");
    let listed: Vec<_> = storage.list("").collect().await;
    let mut errors = vec![
        storage.probe().await.unwrap_err(),
        storage.put_file(&there, &file, Durability::Now).await.unwrap_err(),
        storage.put_bytes(&missing, bytes(), Durability::Now).await.unwrap_err(),
        storage.put_bytes(&key("new/x"), bytes(), Durability::Later).await.unwrap_err(),
        storage.delete(&there).await.unwrap_err(),
        storage.delete(&missing).await.unwrap_err(),
        storage.open(&missing, Some(5), None).await.unwrap_err(),
        storage.open_blocking(&missing).err().unwrap(),
        storage.head(&missing).await.unwrap_err(),
        storage.usage().await.unwrap_err(),
        storage.sync(&[missing]).await.unwrap_err(),
    ];
    assert_eq!(listed.len(), 1);
    errors.extend(listed.into_iter().map(Result::unwrap_err));
    for error in errors {
        assert!(error.is_unavailable() && !error.is_lost(), "{error}");
        for part in says {
            assert!(error.to_string().contains(part), "{part:?} in {error}");
        }
    }
    assert!(file.exists());
    assert_eq!(tree(watched), before);
}

#[tokio::test]
async fn a_fresh_storage_is_marked_once_and_for_all() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("disk/main");
    let fresh = storage(&root, None);
    assert_eq!(fresh.marker(), None);
    fresh.prepare().await.unwrap();
    let id = fresh.marker().unwrap();
    assert_eq!(fs::read_to_string(root.join(MARKER)).unwrap(), format!("{id}\n"));
    drop(fresh);
    for expected in [None, Some(id.as_str())] {
        assert_eq!(prepared(&root, expected).await.marker().as_ref(), Some(&id));
    }
    assert_ne!(leave_storage(&directory.path().join("other")).await, id);
}

#[tokio::test]
async fn a_storage_of_before_there_were_markers_is_marked() {
    let directory = tempfile::tempdir().unwrap();
    leave_storage(directory.path()).await;
    fs::remove_file(directory.path().join(MARKER)).unwrap();
    let storage = prepared(directory.path(), None).await;
    assert!(directory.path().join(MARKER).is_file() && storage.marker().is_some());
    assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
}

#[tokio::test]
async fn the_marker_is_no_object() {
    let directory = tempfile::tempdir().unwrap();
    leave_storage(directory.path()).await;
    let storage = prepared(directory.path(), None).await;
    assert_eq!(list(&storage, "").await, [("nar/x.nar".to_owned(), 10)].into());
    assert!(list(&storage, ".cache").await.is_empty());
    assert!(Key::new(MARKER).is_err());
}

#[tokio::test]
async fn a_moved_root_is_the_same_storage() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
    let id = leave_storage(&from).await;
    fs::rename(&from, &to).unwrap();
    let storage = prepared(&to, Some(&id)).await;
    assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
    // Where it was, it is no longer.
    let error = self::storage(&from, Some(&id)).prepare().await.unwrap_err();
    assert!(error.is_unavailable() && !from.exists(), "{error}");
}

#[tokio::test]
async fn where_the_marker_is_missing_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let mount_point = directory.path().join("disk");
    let elsewhere = directory.path().join("elsewhere");
    let root = mount_point.join("main");
    let id = leave_storage(&root).await;
    fs::rename(&mount_point, &elsewhere).unwrap();
    let storage = storage(&root, Some(&id));
    let marker = root.join(MARKER).display().to_string();
    let says: [&str; 3] = [&marker, "mounted?", &id];
    // No mount point, an empty one, an empty root, and all of a storage but the marker.
    for prepare in [None, Some("disk"), Some("disk/main"), Some("disk/main/.spool"), Some("disk/main/nar")] {
        if let Some(present) = prepare {
            fs::create_dir_all(directory.path().join(present)).unwrap();
        }
        let before = tree(directory.path());
        for error in [storage.prepare().await.unwrap_err(), storage.probe().await.unwrap_err()] {
            assert!(error.is_unavailable(), "{error}");
            for part in says {
                assert!(error.to_string().contains(part), "{part:?} in {error}");
            }
        }
        assert_eq!(tree(directory.path()), before);
        assert_eq!(storage.marker(), None);
    }
    is_refused(&storage, directory.path(), &[]).await;

    fs::remove_dir_all(&mount_point).unwrap();
    fs::rename(&elsewhere, &mount_point).unwrap();
    storage.probe().await.unwrap();
    assert_eq!(storage.marker(), Some(id));
    assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
}

#[tokio::test]
async fn what_the_refusal_says_makes_the_directory_the_storage() {
    let directory = tempfile::tempdir().unwrap();
    leave_storage(directory.path()).await;
    for lost in [Some("damaged by hand\n"), None] {
        match lost {
            Some(text) => fs::write(directory.path().join(MARKER), text).unwrap(),
            None => fs::remove_file(directory.path().join(MARKER)).unwrap(),
        }
        let storage = storage(directory.path(), Some("disk-1"));
        assert!(storage.prepare().await.unwrap_err().to_string().contains("line disk-1"));
        fs::write(directory.path().join(MARKER), "disk-1\n").unwrap();
        storage.prepare().await.unwrap();
        assert_eq!(storage.marker().as_deref(), Some("disk-1"));
    }
}

#[tokio::test]
async fn another_storage_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let [ours, other] = ["ours", "other"].map(|name| directory.path().join(name));
    let id = leave_storage(&ours).await;
    let found = leave_storage(&other).await;
    // What a start would remove if the spool were ours.
    fs::write(other.join(".spool/upload"), "bytes").unwrap();
    let storage = storage(&other, Some(&id));
    let before = tree(directory.path());
    let error = storage.prepare().await.unwrap_err();
    for part in [&found, &id, MARKER, "another storage"] {
        assert!(error.to_string().contains(part), "{part:?} in {error}");
    }
    is_refused(&storage, directory.path(), &[]).await;
    assert_eq!(tree(directory.path()), before);
    assert_eq!(prepared(&other, None).await.marker(), Some(found));
}

#[tokio::test]
async fn a_marker_that_says_nothing_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(MARKER), "\n").unwrap();
    let storage = storage(directory.path(), None);
    let error = storage.prepare().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(tree(directory.path()), [directory.path().join(MARKER)]);
}

#[tokio::test]
async fn a_storage_that_loses_its_marker_is_not_used_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let storage = prepared(directory.path(), None).await;
    put(&storage, &key("nar/x.nar"), &content(10, 1)).await;
    let id = storage.marker().unwrap();
    fs::remove_file(directory.path().join(MARKER)).unwrap();
    is_refused(&storage, directory.path(), &[&id, MARKER]).await;
    fs::write(directory.path().join(MARKER), &id).unwrap();
    storage.probe().await.unwrap();
    put(&storage, &key("nar/y.nar"), &content(10, 1)).await;
}

/// What an older daemon, or a mistake, has left beneath the mount point: it would do for a storage.
fn leave_traces(root: &Path) {
    for directory in [".spool", "nar"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("nar/x.nar"), "stale").unwrap();
}

/// A disk of its own, or a directory of the same file system: they look different to the kernel.
fn disks(directory: &Path) -> [(PathBuf, Option<Mount>); 2] {
    let [own, same] = ["own", "same"].map(|name| directory.join(name));
    let mount = Mount::tmpfs(&own, 4 << 20);
    fs::create_dir(&same).unwrap();
    [(own, Some(mount)), (same, None)]
}

#[test]
fn a_disk_that_is_not_mounted_at_start_is_not_written_beneath() {
    run_test(async {
        let directory = tempfile::tempdir().unwrap();
        for (disk, _mounted) in disks(directory.path()) {
            let mount_point = disk.with_extension("mounted");
            leave_traces(&mount_point.join("main"));
            let mount = Mount::bind(&disk, &mount_point);
            let id = leave_storage(&mount_point.join("main")).await;
            mount.detach();

            let storage = storage(&mount_point.join("main"), Some(&id));
            assert!(storage.prepare().await.unwrap_err().to_string().contains("mounted?"));
            is_refused(&storage, &mount_point, &[]).await;

            let _mount = Mount::bind(&disk, &mount_point);
            storage.probe().await.unwrap();
            assert_eq!(storage.marker(), Some(id));
            assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
        }
    });
}

#[test]
fn a_disk_that_drops_out_is_not_written_beneath_and_is_used_again_when_it_is_back() {
    run_test(async {
        let directory = tempfile::tempdir().unwrap();
        for (disk, _mounted) in disks(directory.path()) {
            let mount_point = disk.with_extension("mounted");
            leave_traces(&mount_point.join("main"));
            let mount = Mount::bind(&disk, &mount_point);
            let storage = prepared(&mount_point.join("main"), None).await;
            put(&storage, &key("nar/x.nar"), &content(10, 1)).await;
            let id = storage.marker().unwrap();
            spool(&storage, "upload", b"bytes");
            mount.detach();
            is_refused(&storage, &mount_point, &["mounted?", &id]).await;

            let mount = Mount::bind(&disk, &mount_point);
            storage.probe().await.unwrap();
            let upload = storage.spool_dir().join("upload");
            storage.put_file(&key("nar/y.nar"), &upload, Durability::Now).await.unwrap();
            assert_eq!(get(&storage, &key("nar/y.nar")).await.unwrap(), "bytes");
            assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
            mount.detach();
        }
    });
}

#[test]
fn another_disk_in_the_place_of_the_right_one_is_left_alone() {
    run_test(async {
        let directory = tempfile::tempdir().unwrap();
        let [(one, _own), (other, _)] = disks(directory.path());
        let mount_point = directory.path().join("mounted");
        let theirs = leave_storage(&other.join("main")).await;
        let mount = Mount::bind(&one, &mount_point);
        let storage = prepared(&mount_point.join("main"), None).await;
        mount.detach();
        let mount = Mount::bind(&other, &mount_point);
        is_refused(&storage, &mount_point, &[&theirs, "another storage"]).await;
        mount.detach();
    });
}

#[tokio::test]
async fn a_disk_that_drops_out_during_a_listing_does_not_make_it_shorter() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("main");
    let storage = prepared(&root, None).await;
    // More than the listing finds in one go, in each of two directories.
    for number in 0..600 {
        let name = key(&format!("{}/{number}", ["log", "nar"][number % 2]));
        storage.put_bytes(&name, Bytes::new(), Durability::Later).await.unwrap();
    }
    let mut listing = storage.list("");
    let mut listed: Vec<Result<(Key, u64), StorageError>> = vec![listing.next().await.unwrap()];
    fs::rename(&root, directory.path().join("elsewhere")).unwrap();
    listed.extend(listing.collect::<Vec<_>>().await);
    let errors: Vec<_> = listed.iter().filter_map(|entry| entry.as_ref().err()).collect();
    assert!(listed.len() < 600 && !errors.is_empty(), "{} entries", listed.len());
    assert!(errors.iter().all(|error| error.is_unavailable()), "{errors:?}");
}

#[tokio::test]
async fn a_storage_without_objects_is_removed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("disk");
    let id = leave_storage(&root).await;
    let storage = prepared(&root, Some(&id)).await;
    put(&storage, &key("log/x.drv"), &content(10, 1)).await;
    assert!(!storage.dismantle().await.unwrap());
    assert!(root.join("nar/x.nar").exists() && root.join(MARKER).exists(), "it holds objects");
    for object in ["nar/x.nar", "log/x.drv"] {
        assert!(storage.delete(&key(object)).await.unwrap());
    }
    fs::write(root.join("log/not of a cache"), "mine").unwrap();
    assert!(!storage.dismantle().await.unwrap());
    assert!(root.join("log/not of a cache").exists() && root.join(MARKER).exists());
    assert!(!root.join("nar").exists());
    fs::remove_file(root.join("log/not of a cache")).unwrap();

    // Another disk in its place is left alone.
    let away = directory.path().join("away");
    fs::rename(&root, &away).unwrap();
    leave_storage(&root).await;
    let before = tree(&root);
    assert!(storage.dismantle().await.unwrap_err().is_unavailable());
    assert_eq!(tree(&root), before);
    fs::remove_dir_all(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    assert!(storage.dismantle().await.unwrap());
    assert!(tree(directory.path()).is_empty());
}
