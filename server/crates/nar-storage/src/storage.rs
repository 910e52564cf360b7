//! The trait that every backend implements.

use std::{
    io::{self, Read},
    ops::Range,
    path::Path,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{Blob, Key, StorageError};

/// A place that keeps objects.
///
/// An object appears and is replaced as a whole: readers see all of its bytes or none. Operations may be cancelled by
/// dropping their future; what was begun may then still happen.
///
/// A backend that cannot reach its objects answers [`StorageError::Unavailable`], never
/// [`StorageError::NotFound`]: callers hide and forget what is not found.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Name from the configuration.
    fn name(&self) -> &str;

    /// Directory for files that are to be [put](Storage::put_file), on the storage's own file system where it has one.
    ///
    /// It exists once [`prepare`](Storage::prepare) has succeeded, which also empties it: what a crash left there
    /// belongs to nobody, but for directories that hold a file called [`KEPT`](crate::KEPT). Names that start with a dot
    /// are the storage's own.
    fn spool_dir(&self) -> &Path;

    /// Makes the storage ready for use: creates what is missing and removes what a crash left in the spool. To be
    /// called before anything else; does nothing once it has succeeded. [`probe`](Storage::probe) does it as well, so
    /// that a storage that was dead at start is ready as soon as it works.
    async fn prepare(&self) -> Result<(), StorageError>;

    /// Stores a spooled file under `key`, replacing what is there. The file leaves the spool.
    ///
    /// With [`Durability::Now`] the bytes and the name survive a power loss once this returns. On error the spooled
    /// file is still there and another storage can be tried, unless only making it durable failed. The object keeps
    /// the mode of the file.
    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError>;

    /// Stores a small object under `key`, replacing what is there. Leaves nothing behind on error.
    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError>;

    /// Makes earlier puts with [`Durability::Later`], and deletions, of these keys durable. A key that is not there is
    /// no error: what is made durable is its absence.
    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError>;

    /// Opens an object, or the part of it in `range`, for reading.
    ///
    /// With an `expected_size` (of the whole object, in bytes) any other size is a [`StorageError::SizeMismatch`],
    /// noticed before a byte is handed out. A range that is not within the object is a
    /// [`StorageError::InvalidRange`].
    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError>;

    /// Opens a whole object for code on a blocking thread. Blocks, and so does reading: neither works on a thread that
    /// runs async code.
    fn open_blocking(&self, key: &Key) -> Result<Box<dyn Read + Send>, StorageError>;

    /// Size of an object in bytes, none if it is not there.
    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError>;

    /// Removes an object and says whether it was there. Durable after [`sync`](Storage::sync); readers that have it
    /// open finish undisturbed.
    async fn delete(&self, key: &Key) -> Result<bool, StorageError>;

    /// All objects whose key starts with `prefix`, with their sizes in bytes, in no particular order. Memory is
    /// bounded whatever their number. An error does not end the listing, it stands for what could not be listed.
    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>>;

    /// Space of the medium.
    async fn usage(&self) -> Result<Usage, StorageError>;

    /// Checks that the storage is there and can be written to.
    async fn probe(&self) -> Result<(), StorageError>;

    /// URL from which anybody can read the object until `expires` is over, without asking us. None where clients
    /// cannot, or shall not, reach the storage themselves. Whether the object is there is not looked at.
    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        let _ = (key, expires);
        Ok(None)
    }
}

/// When a put has to survive a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once the put returns.
    Now,
    /// After a later [`Storage::sync`] of the key.
    Later,
}

/// Space of the medium under a storage, as far as it has such a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Size of the medium in bytes.
    pub total: Option<u64>,
    /// Bytes on it that the daemon may still write.
    pub free: Option<u64>,
}

impl Usage {
    /// Bytes that stay free: a medium counts as full when 95 % of it are used.
    #[must_use]
    pub fn kept_free(&self) -> u64 {
        self.total.unwrap_or(0).div_ceil(20)
    }

    /// Bytes that are left until the medium counts as full, as far as it tells.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        self.free.map(|free| free.saturating_sub(self.kept_free()))
    }

    /// The space of the file system that `path` is on. Blocks.
    pub fn of_file_system(path: &Path) -> io::Result<Self> {
        let space = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| Some(blocks.saturating_mul(space.f_frsize));
        Ok(Self { total: bytes(space.f_blocks), free: bytes(space.f_bavail) })
    }
}
