//! A storage that fails on demand.

use std::{
    io::{self, Read},
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt, future,
    stream::{self, BoxStream},
};

use crate::{Blob, BlobBody, Context, Durability, Key, Operation, Storage, StorageError, Usage};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Bodies end after that many bytes as if the object were shorter.
    ShortRead(u64),
    /// Bodies fail after that many bytes.
    ReadError(u64),
    /// Bodies stop for good after that many bytes.
    StalledRead(u64),
    /// Somebody else deletes an object before we do.
    DeletedElsewhere,
    /// Puts find no space.
    Full,
    /// Nothing works.
    Unavailable,
}

/// Passes everything on to another storage but for the fault it is set to.
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    fault: Mutex<Option<Fault>>,
}

impl FaultyStorage {
    /// Works like `inner` until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, fault: Mutex::new(None) }
    }

    /// Fails in this way from now on, or no more.
    pub fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault.into();
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, operation: Operation, key: Option<&Key>) -> Result<(), StorageError> {
        let context = Context { storage: self.name().into(), operation, key: key.cloned() };
        match self.fault() {
            Some(Fault::Unavailable) => {
                Err(StorageError::Unavailable { context, reason: "a test wants it".into() })
            }
            Some(Fault::Full) if operation == Operation::Put => Err(StorageError::Full { context }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn spool_dir(&self) -> &Path {
        self.inner.spool_dir()
    }

    async fn prepare(&self) -> Result<(), StorageError> {
        self.check(Operation::Prepare, None)?;
        self.inner.prepare().await
    }

    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError> {
        self.check(Operation::Put, Some(key))?;
        self.inner.put_file(key, spooled, durability).await
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError> {
        self.check(Operation::Put, Some(key))?;
        self.inner.put_bytes(key, bytes, durability).await
    }

    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError> {
        self.check(Operation::Sync, None)?;
        self.inner.sync(keys).await
    }

    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        self.check(Operation::Open, Some(key))?;
        let blob = self.inner.open(key, expected_size, range).await?;
        Ok(match self.fault() {
            Some(Fault::ShortRead(after)) => cut(blob, after, stream::empty()),
            Some(Fault::ReadError(after)) => {
                let error = io::Error::other("a test wants it");
                cut(blob, after, stream::iter([Err(error)]))
            }
            Some(Fault::StalledRead(after)) => cut(blob, after, stream::pending()),
            _ => blob,
        })
    }

    fn open_blocking(&self, key: &Key) -> Result<Box<dyn Read + Send>, StorageError> {
        self.check(Operation::Open, Some(key))?;
        self.inner.open_blocking(key)
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        self.check(Operation::Head, Some(key))?;
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StorageError> {
        self.check(Operation::Delete, Some(key))?;
        let deleted = self.inner.delete(key).await?;
        Ok(deleted && self.fault() != Some(Fault::DeletedElsewhere))
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        match self.check(Operation::List, None) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.check(Operation::Usage, None)?;
        self.inner.usage().await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.check(Operation::Probe, None)?;
        self.inner.probe().await
    }

    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        self.check(Operation::Open, Some(key))?;
        self.inner.presign_get(key, expires).await
    }
}

/// The first `after` bytes of a body, then something else.
fn cut(blob: Blob, after: u64, then: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static) -> Blob {
    let (total_size, range) = (blob.total_size, blob.range.clone());
    let pieces = match blob.into_body() {
        BlobBody::Bytes(bytes) => stream::iter([Ok(bytes)]).left_stream(),
        BlobBody::Stream(pieces) => pieces.right_stream(),
    };
    let kept = pieces.scan(after, |left, piece| {
        let piece = piece.map(|bytes| {
            let len = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
            *left -= len as u64;
            bytes.slice(..len)
        });
        future::ready(Some(piece).filter(|piece| !piece.as_ref().is_ok_and(Bytes::is_empty)))
    });
    Blob::from_stream(total_size, range, kept.chain(then))
}
