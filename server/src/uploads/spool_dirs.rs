//! Where an upload is spooled, and where it goes on when the disk below it gives out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nar_storage::{StorageError, is_unfit};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError};
use crate::nar_store::NarStore;

/// Gives an upload directories, each on the file system of a storage that could take it.
pub trait SpoolDirs: Send + Sync {
    /// The first directory. Blocks.
    fn first(&self) -> io::Result<PathBuf>;

    /// Another directory, because `error` happened in `lost`. Gives the error back if there is none. Blocks.
    fn next(&self, lost: &Path, error: io::Error) -> io::Result<PathBuf>;

    /// Fails as a full disk does where `directory` has no room for `len` more bytes. Returns how many may be written until
    /// this is to be asked again, `len` or more. Blocks.
    fn check_room(&self, directory: &Path, len: u64) -> io::Result<u64>;

    /// Fails as a full disk does where the disk of `directory` has no room for `len` more bytes of an upload that has all arrived,
    /// and is to be copied. Blocks.
    fn check_disk_room(&self, directory: &Path, len: u64) -> io::Result<u64>;
}

/// The spools of a cache's storages.
pub(super) struct StorageSpoolDirs {
    cache: Arc<Cache>,
    nar_store: Arc<NarStore>,
    upload: Uuid,
    size: Option<u64>,
    /// The storages whose spools were used, the current one last.
    used: Mutex<Vec<(Arc<CacheStorage>, PathBuf)>>,
}

impl StorageSpoolDirs {
    /// Spools for an upload of `size` bytes, if that is known.
    pub(super) fn new(cache: Arc<Cache>, nar_store: Arc<NarStore>, upload: Uuid, size: Option<u64>) -> Self {
        Self { cache, nar_store, upload, size, used: Mutex::default() }
    }

    /// The same for an upload that is in the spool of `storage` already.
    pub(super) fn beginning_in(
        cache: Arc<Cache>,
        nar_store: Arc<NarStore>,
        upload: Uuid,
        storage: Arc<CacheStorage>,
        directory: PathBuf,
    ) -> Self {
        Self { used: Mutex::new(vec![(storage, directory)]), ..Self::new(cache, nar_store, upload, None) }
    }

    /// Empties so much of the trash that the disk of a storage has room for `len` more bytes, if no other storage takes the
    /// upload. Returns whether it has. Blocks.
    fn make_room(&self, storage: &CacheStorage, len: u64) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let used = names(&self.used.lock());
        if self.cache.storages().choose(self.size, &used).is_ok() {
            return false;
        }
        let has_room = || storage.check_medium_room(len).is_ok();
        runtime.block_on(self.nar_store.make_room(&self.cache, len, has_room)).unwrap_or(false)
    }

    /// The storage whose spool a directory is in.
    fn storage_of(&self, directory: &Path) -> Option<Arc<CacheStorage>> {
        let used = self.used.lock();
        used.iter().find(|(_, spool)| spool == directory).map(|(storage, _)| storage.clone())
    }

    /// Moves to the spool of a storage that was not used yet.
    fn move_on(&self, used: &mut Vec<(Arc<CacheStorage>, PathBuf)>) -> Result<PathBuf, PushError> {
        loop {
            let storage = self.cache.storages().choose(self.size, &names(used))?.clone();
            let directory = storage.storage.spool_dir().join(self.upload.to_string());
            // Not what is above it: where the file system of the storage is not mounted, nothing must come into being.
            let made = std::fs::create_dir(&directory);
            used.push((storage.clone(), directory.clone()));
            match made {
                Ok(()) => return Ok(directory),
                Err(error) => storage.failed(&StorageError::from_spool(storage.name(), error)),
            }
        }
    }
}

/// The names of storages.
fn names(used: &[(Arc<CacheStorage>, PathBuf)]) -> Vec<Arc<str>> {
    used.iter().map(|(storage, _)| storage.name().into()).collect()
}

impl SpoolDirs for StorageSpoolDirs {
    fn first(&self) -> io::Result<PathBuf> {
        let mut used = self.used.lock();
        self.move_on(&mut used).map_err(io::Error::other)
    }

    fn next(&self, lost: &Path, error: io::Error) -> io::Result<PathBuf> {
        let code = error.raw_os_error();
        // The uploads on this storage have come to its limit, for which its disk is not to blame.
        let is_at_limit = code.is_none() && error.kind() == io::ErrorKind::QuotaExceeded;
        // No disk would take it, and none is to blame.
        if (code.is_none() && !is_at_limit) || is_unfit(&error) {
            return Err(error);
        }
        let mut used = self.used.lock();
        // Parts that arrive at the same time fail at the same time; one of them moves the upload.
        if let Some((_, current)) = used.last()
            && current != lost
        {
            return Ok(current.clone());
        }
        if let (Some((storage, _)), Some(code)) = (used.last(), code) {
            storage.failed(&StorageError::from_spool(storage.name(), io::Error::from_raw_os_error(code)));
        }
        self.move_on(&mut used).map_err(|_| error)
    }

    fn check_room(&self, directory: &Path, len: u64) -> io::Result<u64> {
        let Some(storage) = self.storage_of(directory) else { return Ok(len) };
        match storage.check_spool_room(len) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && self.make_room(&storage, len) => {
                storage.check_spool_room(len)
            }
            checked => checked,
        }
    }

    fn check_disk_room(&self, directory: &Path, len: u64) -> io::Result<u64> {
        self.storage_of(directory).map_or(Ok(len), |storage| storage.check_medium_room(len))
    }
}
