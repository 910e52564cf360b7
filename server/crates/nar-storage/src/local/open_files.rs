//! A cache of open files, so that a hot object costs no path lookup.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::sync::Cache;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::pool::Pool;
use crate::Key;

/// A sensible number of files to keep open. Some of the usual limit of 1,024 file descriptors is left for connections.
pub const DEFAULT_OPEN_FILES: usize = 512;

/// The read cache that all [local storages](super::LocalStorage) of a process share: up to a given number of open files and 16 MiB
/// of buffers.
pub struct ReadCache {
    files: Cache<(u32, Key), Kept>,
    pub(super) pool: Arc<Pool>,
    storages: AtomicU32,
}

impl ReadCache {
    /// Creates a cache of up to `open_files` open files, each of which takes a file descriptor.
    pub fn new(open_files: usize) -> Arc<Self> {
        Arc::new(Self { files: Cache::new(open_files), pool: Arc::default(), storages: AtomicU32::new(0) })
    }
}

/// A file that is kept open.
#[derive(Clone)]
struct Kept {
    file: Arc<File>,
    /// How many names it had when it was opened.
    names: u64,
}

/// The open files of one storage.
pub(super) struct OpenFiles {
    storage: u32,
    pub(super) cache: Arc<ReadCache>,
}

/// An open file with its size in bytes.
pub(super) struct OpenFile {
    pub(super) file: Arc<File>,
    pub(super) size: u64,
}

impl OpenFiles {
    pub(super) fn new(cache: Arc<ReadCache>) -> Self {
        let storage = cache.storages.fetch_add(1, Ordering::Relaxed);
        Self { storage, cache }
    }

    /// Returns the file of `key` if it is open, still has that name and has the expected size. Otherwise closes it: a file that
    /// another process deleted or replaced must not stay open here. If the file has gained or lost a name, this one may be
    /// concerned.
    pub(super) fn find(&self, key: &Key, expected_size: Option<u64>) -> Option<OpenFile> {
        let id = (self.storage, key.clone());
        let Kept { file, names } = self.cache.files.get(&id)?;
        let has_name = |metadata: &Metadata| metadata.nlink() > 0 && metadata.nlink() == names;
        match file.metadata() {
            Ok(metadata)
                if has_name(&metadata) && expected_size.is_none_or(|size| size == metadata.size()) =>
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
        // Kernels before 5.12 lack the flag, and sandboxes may forbid the call. Then a blocking thread opens the file, as if it were
        // not cached.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        self.keep(key, file.into()).ok()
    }

    /// Opens the file at `path`. Blocks.
    pub(super) fn open(&self, key: &Key, path: &Path) -> io::Result<OpenFile> {
        self.keep(key, File::open(path)?)
    }

    /// Closes the file of `key` after it was replaced or deleted.
    pub(super) fn forget(&self, key: &Key) {
        self.cache.files.remove(&(self.storage, key.clone()));
    }

    fn keep(&self, key: &Key, file: File) -> io::Result<OpenFile> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(rustix::io::Errno::NOENT.into());
        }
        let file = Arc::new(file);
        let kept = Kept { file: file.clone(), names: metadata.nlink() };
        self.cache.files.insert((self.storage, key.clone()), kept);
        Ok(OpenFile { file, size: metadata.size() })
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        self.cache.files.retain(|(storage, _), _| *storage != self.storage);
    }
}
