//! A cache of open files, so that a hot object costs no path lookup, and of the bytes of small ones, so that it costs no read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::pool::Pool;
use crate::Key;

/// A sensible number of files to keep open. Some of the usual limit of 1,024 file descriptors is left for connections.
pub const DEFAULT_OPEN_FILES: usize = 512;

/// The largest file whose bytes are kept in memory, and the most bytes of all of them.
const SMALL: u64 = 32 << 10;
const MOST_OF_SMALL: u64 = 16 << 20;

/// A storage and an object of it.
type Id = (u32, Key);

/// The read cache that all [local storages](super::LocalStorage) of a process share: up to a given number of open files, 16 MiB
/// of buffers and 16 MiB of small files.
pub struct ReadCache {
    files: Cache<Id, Kept>,
    small: Cache<Id, Small, BySize>,
    pub(super) pool: Arc<Pool>,
    storages: AtomicU32,
}

impl ReadCache {
    /// Creates a cache of up to `open_files` open files, each of which takes a file descriptor.
    pub fn new(open_files: usize) -> Arc<Self> {
        let most_small = (MOST_OF_SMALL / (SMALL / 4)) as usize;
        Arc::new(Self {
            files: Cache::new(open_files),
            small: Cache::with_weighter(most_small, MOST_OF_SMALL, BySize),
            pool: Arc::default(),
            storages: AtomicU32::new(0),
        })
    }
}

/// Weighs files by their bytes.
#[derive(Clone)]
struct BySize;

impl Weighter<Id, Small> for BySize {
    fn weight(&self, _: &Id, small: &Small) -> u64 {
        small.bytes.len() as u64
    }
}

/// The bytes of a file, and the state that the file had before they were read.
#[derive(Clone)]
struct Small {
    bytes: Arc<[u8]>,
    state: FileState,
}

/// What changes when a file is changed, replaced, or gains or loses a name.
#[derive(Clone, Copy, PartialEq)]
struct FileState {
    inode: u64,
    changed: (i64, i64),
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

/// The bytes of an open file.
#[derive(Clone)]
pub(super) enum Contents {
    /// They are in memory.
    Known(Arc<[u8]>),
    /// They are few, and the reader may [keep](ToKeep::keep) them.
    ToKeep(Arc<ToKeep>),
    /// They are not kept: they are too many, or have been read only once.
    NotKept,
}

/// A small file whose bytes are not in memory.
pub(super) struct ToKeep {
    cache: Arc<ReadCache>,
    id: Id,
    state: FileState,
}

impl ToKeep {
    /// Keeps the bytes of the file, all of them.
    pub(super) fn keep(&self, bytes: &[u8]) {
        self.cache.small.insert(self.id.clone(), Small { bytes: bytes.into(), state: self.state });
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
        let (_, file, metadata) = self.look_up(key, expected_size)?;
        Some(OpenFile { file, size: metadata.size() })
    }

    /// As [`OpenFiles::find`], with the bytes of a small file if they are in memory.
    pub(super) fn find_with_contents(&self, key: &Key, size: u64) -> Option<(OpenFile, Contents)> {
        let (id, file, metadata) = self.look_up(key, Some(size))?;
        Some((OpenFile { file, size }, self.contents(id, &metadata)))
    }

    fn look_up(&self, key: &Key, expected_size: Option<u64>) -> Option<(Id, Arc<File>, Metadata)> {
        let id = (self.storage, key.clone());
        let Kept { file, names } = self.cache.files.get(&id)?;
        let has_name = |metadata: &Metadata| metadata.nlink() > 0 && metadata.nlink() == names;
        match file.metadata() {
            Ok(metadata)
                if has_name(&metadata) && expected_size.is_none_or(|size| size == metadata.size()) =>
            {
                Some((id, file, metadata))
            }
            _ => {
                self.cache.files.remove(&id);
                None
            }
        }
    }

    fn contents(&self, id: Id, metadata: &Metadata) -> Contents {
        if metadata.size() > SMALL {
            return Contents::NotKept;
        }
        let state = FileState::of(metadata);
        match self.cache.small.get(&id).filter(|small| small.state == state) {
            Some(small) => Contents::Known(small.bytes),
            None => Contents::ToKeep(Arc::new(ToKeep { cache: self.cache.clone(), id, state })),
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
        let id = (self.storage, key.clone());
        self.cache.files.remove(&id);
        self.cache.small.remove(&id);
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
        self.cache.small.retain(|(storage, _), _| *storage != self.storage);
    }
}
