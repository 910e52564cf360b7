//! Files kept open, so that a hot object costs no path lookup.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use quick_cache::sync::Cache;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::pool::Pool;
use crate::Key;

/// A sensible number of files to keep open. Some of the usual limit of 1,024 file descriptors is left for connections.
pub const DEFAULT_OPEN_FILES: usize = 512;

/// What reading keeps at hand, shared by all [local storages](super::LocalStorage) of a process: up to a given number
/// of open files and 16 MiB of buffers.
pub struct ReadCache {
    files: Cache<(u32, Key), Arc<File>>,
    pub(super) pool: Arc<Pool>,
    storages: AtomicU32,
}

impl ReadCache {
    /// Keeps up to `open_files` files open, each of which takes a file descriptor.
    #[must_use]
    pub fn new(open_files: usize) -> Arc<Self> {
        Arc::new(Self { files: Cache::new(open_files), pool: Arc::default(), storages: AtomicU32::new(0) })
    }
}

/// The open files of one storage.
pub(super) struct OpenFiles {
    storage: u32,
    pub(super) cache: Arc<ReadCache>,
}

/// A file that was there, with this size in bytes, a moment ago.
pub(super) struct OpenFile {
    pub(super) file: Arc<File>,
    pub(super) size: u64,
}

impl OpenFiles {
    pub(super) fn new(cache: Arc<ReadCache>) -> Self {
        let storage = cache.storages.fetch_add(1, Ordering::Relaxed);
        Self { storage, cache }
    }

    /// The file of `key` if it is open, is still the one under that name, and has the expected size. Otherwise it is
    /// closed: a file deleted or replaced behind our back must not live on here.
    pub(super) fn find(&self, key: &Key, expected_size: Option<u64>) -> Option<OpenFile> {
        let id = (self.storage, key.clone());
        let file = self.cache.files.get(&id)?;
        match file.metadata() {
            Ok(metadata)
                if metadata.nlink() > 0 && expected_size.is_none_or(|size| size == metadata.size()) =>
            {
                Some(OpenFile { file, size: metadata.size() })
            }
            _ => {
                self.cache.files.remove(&id);
                None
            }
        }
    }

    /// Opens the file at `path` if the kernel can do it without waiting for a disk.
    pub(super) fn open_inline(&self, key: &Key, path: &Path) -> Option<OpenFile> {
        // Kernels before 5.12 do not know the flag, and sandboxes may forbid the call: the file is then opened on a
        // blocking thread like one that is not in memory.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        self.keep(key, file.into()).ok()
    }

    /// Opens the file at `path`. Blocks.
    pub(super) fn open(&self, key: &Key, path: &Path) -> io::Result<OpenFile> {
        self.keep(key, File::open(path)?)
    }

    /// Closes the file of `key`, as another one has taken its name, or none.
    pub(super) fn forget(&self, key: &Key) {
        self.cache.files.remove(&(self.storage, key.clone()));
    }

    fn keep(&self, key: &Key, file: File) -> io::Result<OpenFile> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(rustix::io::Errno::NOENT.into());
        }
        let file = Arc::new(file);
        self.cache.files.insert((self.storage, key.clone()), Arc::clone(&file));
        Ok(OpenFile { file, size: metadata.size() })
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        self.cache.files.retain(|(storage, _), _| *storage != self.storage);
    }
}
