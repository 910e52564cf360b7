//! A real file system that fills up.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use nar_storage::{Durability, Health, LocalStorage, ReadCache, Storage, StorageError};
use tempfile::TempDir;

use crate::backend::open_local;
use crate::mounts::{Mount, run_test};
use crate::scenarios::{content, get, key, list, put, spool, spooled};

const SIZE: u64 = 4 << 20;

/// A storage with an object on a disk of 4 MiB, and a directory on another one.
struct SmallDisk {
    storage: Arc<dyn Storage>,
    mount: Mount,
    directory: TempDir,
}

impl SmallDisk {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mount = Mount::tmpfs(&directory.path().join("disk"), SIZE);
        let storage = open_local(directory.path().join("disk/main")).await;
        put(storage.as_ref(), &key("nar/first.nar"), &content(1000, 1)).await;
        Self { storage, mount, directory }
    }

    /// Takes what room there is.
    fn fill(&self) {
        let error = write(&self.directory.path().join("disk/ballast"), 2 * SIZE).unwrap_err();
        assert!(StorageError::from_spool("disk1", error).is_full());
    }

    fn make_room(&self) {
        fs::remove_file(self.directory.path().join("disk/ballast")).unwrap();
    }

    /// Everything but the first object is as if nothing had happened.
    async fn check(&self) {
        let storage = self.storage.as_ref();
        assert_eq!(list(storage, "").await, [("nar/first.nar".to_owned(), 1000)].into());
        assert_eq!(get(storage, &key("nar/first.nar")).await.unwrap(), content(1000, 1));
    }
}

fn write(path: &Path, len: u64) -> std::io::Result<()> {
    fs::write(path, content(usize::try_from(len).unwrap(), 1))
}

#[test]
fn an_upload_that_the_disk_has_no_room_for_is_told_as_it_is_spooled() {
    run_test(async {
        let disk = SmallDisk::new().await;
        let error = write(&disk.storage.spool_dir().join("upload"), 2 * SIZE).unwrap_err();
        let error = StorageError::from_spool(disk.storage.name(), error);
        assert!(error.is_full(), "{error}");
        disk.check().await;
    });
}

#[test]
fn what_does_not_fit_the_disk_leaves_nothing_half_written() {
    run_test(async {
        let disk = SmallDisk::new().await;
        let storage = disk.storage.as_ref();
        // From the spool of another storage, which has room.
        let file = disk.directory.path().join("upload");
        write(&file, 2 * SIZE).unwrap();
        for durability in [Durability::Now, Durability::Later] {
            let error = storage.put_file(&key("nar/x.nar"), &file, durability).await.unwrap_err();
            assert!(error.is_full(), "{error}");
            let large = content(2 * SIZE as usize, 1);
            let error = storage.put_bytes(&key("nar/x.nar"), large, durability).await.unwrap_err();
            assert!(error.is_full(), "{error}");
        }
        assert!(file.exists() && spooled(storage).is_empty());
        disk.check().await;
        // What fits is still taken.
        put(storage, &key("nar/x.nar"), &content(1 << 20, 2)).await;
    });
}

#[test]
fn a_full_disk_is_found_out_by_a_probe_and_so_is_one_that_has_room_again() {
    run_test(async {
        let disk = SmallDisk::new().await;
        let storage = disk.storage.as_ref();
        storage.probe().await.unwrap();
        let usage = storage.usage().await.unwrap();
        assert_eq!((usage.total, Health::of_medium(usage)), (Some(SIZE), Health::Working));
        disk.fill();
        assert!(storage.probe().await.unwrap_err().is_full());
        let usage = storage.usage().await.unwrap();
        assert_eq!((usage.free, Health::of_medium(usage)), (Some(0), Health::MediumFull));
        let error = storage.put_bytes(&key("x.narinfo"), Bytes::from_static(b"x"), Durability::Now).await;
        assert!(error.unwrap_err().is_full());
        // Reading and removing take no room.
        disk.check().await;
        assert!(spooled(storage).is_empty());
        assert!(storage.delete(&key("nar/first.nar")).await.unwrap());
        disk.make_room();
        storage.probe().await.unwrap();
        put(storage, &key("nar/x.nar"), &content(1000, 1)).await;
    });
}

#[test]
fn a_file_that_was_spooled_before_the_disk_was_full_can_be_stored() {
    run_test(async {
        let disk = SmallDisk::new().await;
        let storage = disk.storage.as_ref();
        let file = spool(storage, "upload", &content(1 << 20, 2));
        disk.fill();
        storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap();
        assert!(get(storage, &key("nar/x.nar")).await.unwrap() == content(1 << 20, 2));
    });
}

#[test]
fn a_disk_that_is_full_at_start_is_a_full_storage_until_there_is_room() {
    run_test(async {
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().join("disk");
        let _mount = Mount::tmpfs(&disk, SIZE);
        write(&disk.join("ballast"), 2 * SIZE).unwrap_err();
        let storage = LocalStorage::new("disk1", disk.join("main"), &ReadCache::new(1));
        let error = storage.prepare().await.unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!(storage.marker(), None);
        fs::remove_file(disk.join("ballast")).unwrap();
        storage.probe().await.unwrap();
        assert!(storage.marker().is_some());
        put(&storage, &key("nar/x.nar"), &content(1000, 1)).await;
    });
}

#[test]
fn a_disk_that_turns_read_only_is_still_read() {
    run_test(async {
        let disk = SmallDisk::new().await;
        let storage = disk.storage.as_ref();
        let file = spool(storage, "upload", &content(1000, 2));
        disk.mount.remount_read_only();
        let error = storage.put_file(&key("nar/x.nar"), &file, Durability::Later).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert!(file.exists());
        assert!(storage.probe().await.unwrap_err().is_unavailable());
        assert!(storage.delete(&key("nar/first.nar")).await.unwrap_err().is_unavailable());
        disk.check().await;
    });
}
