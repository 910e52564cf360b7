//! The trait that every backend implements.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{Blob, FileObject, Key, StorageError};

/// A storage of objects.
///
/// An object appears and is replaced as a whole: readers see all of its bytes or none. Dropping the future of an operation cancels
/// it, but it may still take effect.
///
/// A backend that cannot reach its objects returns [`StorageError::Unavailable`], never [`StorageError::NotFound`]: callers hide
/// objects that are not found.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Returns the name from the configuration.
    fn name(&self) -> &str;

    /// Returns the directory for files to be [put](Storage::put_file), on the file system of the storage if it has one.
    ///
    /// It exists once [`prepare`](Storage::prepare) has succeeded, which also removes orphans, except for directories that hold
    /// a file called [`KEPT`](crate::KEPT). Names that start with a dot are reserved for the storage.
    fn spool_dir(&self) -> &Path;

    /// Prepares the storage: creates missing directories and removes orphans from the spool. Call it before anything else; it
    /// does nothing once it has succeeded. [`probe`](Storage::probe) does the same, so that a storage that was down at the start
    /// is ready as soon as it works.
    async fn prepare(&self) -> Result<(), StorageError>;

    /// Moves a spooled file to `key` and replaces an existing object.
    ///
    /// With [`Durability::Now`] the bytes and the name survive a power failure once this returns. After an error the spooled file
    /// still exists and another storage can be tried, unless only making it durable failed. The object keeps the mode of the
    /// file.
    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError>;

    /// Stores a small object under `key` and replaces an existing one. An error leaves nothing behind.
    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError>;

    /// Stores several small objects in their order, each as [`put_bytes`](Self::put_bytes) does, and returns the sizes in bytes of the
    /// objects that they replaced, 0 where there was none. After an error some of them may be stored.
    async fn put_all(
        &self,
        objects: Vec<(Key, Bytes)>,
        durability: Durability,
    ) -> Result<Vec<u64>, StorageError> {
        let mut replaced = Vec::with_capacity(objects.len());
        for (key, bytes) in objects {
            replaced.push(self.head(&key).await?.unwrap_or(0));
            self.put_bytes(&key, bytes, durability).await?;
        }
        Ok(replaced)
    }

    /// Makes earlier puts with [`Durability::Later`] and deletions of these keys durable. A missing key is no error: its absence
    /// becomes durable.
    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError>;

    /// Opens an object, or the part of it in `range`, for reading.
    ///
    /// With an `expected_size` of the whole object in bytes, any other size is a [`StorageError::SizeMismatch`], returned before
    /// any byte. A range outside of the object is a [`StorageError::InvalidRange`].
    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError>;

    /// Opens an object of `size` bytes if it is a file, and if that takes no waiting. `None` says nothing about the object: then
    /// [`open`](Storage::open) finds out.
    fn open_now(&self, _key: &Key, _size: u64) -> Option<FileObject> {
        None
    }

    /// Opens a whole object for code on a blocking thread. Opening and reading block, so neither may run on a thread of the async
    /// runtime.
    fn open_blocking(&self, key: &Key) -> Result<Box<dyn Read + Send>, StorageError>;

    /// Returns the size of an object in bytes, `None` if it does not exist.
    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError>;

    /// Deletes an object and returns whether it existed. The deletion is durable after [`sync`](Storage::sync). Readers that have
    /// the object open are not affected.
    async fn delete(&self, key: &Key) -> Result<bool, StorageError>;

    /// Lists all objects whose key starts with `prefix`, with their sizes in bytes, in no particular order and in bounded memory.
    /// An error does not end the listing; it stands for a part that cannot be listed.
    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>>;

    /// Returns the space of the medium.
    async fn usage(&self) -> Result<Usage, StorageError>;

    /// Checks that the storage is available and writable.
    async fn probe(&self) -> Result<(), StorageError>;

    /// Returns a URL from which anybody can read the object directly until it expires. `None` if clients cannot or must not reach
    /// the storage. Does not check that the object exists.
    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        let _ = (key, expires);
        Ok(None)
    }
}

/// When a put must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As soon as the put returns.
    Now,
    /// After a later [`Storage::sync`] of the key.
    Later,
}

/// The space of the medium of a storage, if it has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The size of the medium in bytes.
    pub total: Option<u64>,
    /// The bytes on it that the daemon can still write.
    pub free: Option<u64>,
}

impl Usage {
    /// Returns the bytes that stay free: a medium counts as full when 95 % of it are used.
    pub fn kept_free(&self) -> u64 {
        self.total.unwrap_or(0).div_ceil(20)
    }

    /// Returns the bytes left until the medium counts as full, if known.
    pub fn room(&self) -> Option<u64> {
        self.free.map(|free| free.saturating_sub(self.kept_free()))
    }

    /// Returns the space of the file system of `path`. Blocks.
    pub fn of_file_system(path: &Path) -> io::Result<Self> {
        let space = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| Some(blocks.saturating_mul(space.f_frsize));
        Ok(Self { total: bytes(space.f_blocks), free: bytes(space.f_bavail) })
    }
}
