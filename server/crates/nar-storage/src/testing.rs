//! A storage that fails on demand.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, future};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::{Blob, BlobBody, Context, Durability, Key, Operation, Storage, StorageError, Usage};

/// A fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Bodies end after that many bytes, as if the object were shorter.
    ShortRead(u64),
    /// Bodies fail after that many bytes.
    ReadError(u64),
    /// Bodies stall forever after that many bytes. Readers on a blocking thread stall until the fault is cleared and then fail,
    /// because a thread cannot be leaked.
    StalledRead(u64),
    /// Objects are missing when they are read or looked up.
    Missing,
    /// Another party deletes an object first.
    DeletedElsewhere,
    /// Puts fail because the storage is full.
    Full,
    /// Every operation fails.
    Unavailable,
    /// No operation returns until the fault is cleared.
    Hanging,
}

/// Forwards operations to another storage, except for the injected fault.
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    fault: watch::Sender<Option<Fault>>,
}

impl FaultyStorage {
    /// Wraps `inner` without a fault.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, fault: watch::Sender::default() }
    }

    /// Injects a fault, or clears it.
    pub fn set(&self, fault: impl Into<Option<Fault>>) {
        self.fault.send_replace(fault.into());
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.borrow()
    }

    /// Applies the fault to an operation before it reaches the other storage.
    async fn check(&self, operation: Operation, key: Option<&Key>) -> Result<(), StorageError> {
        lifted(self.fault.subscribe(), Fault::Hanging).await;
        let context = Context { storage: self.name().into(), operation, key: key.cloned() };
        match (self.fault(), operation) {
            (Some(Fault::Unavailable), _) => {
                Err(StorageError::Unavailable { context, reason: "a test wants it".into() })
            }
            (Some(Fault::Full), Operation::Put) => Err(StorageError::Full { context }),
            (Some(Fault::Missing), Operation::Open | Operation::Head) => {
                Err(StorageError::NotFound { context })
            }
            _ => Ok(()),
        }
    }
}

/// Waits until the fault changes.
async fn lifted(mut fault: watch::Receiver<Option<Fault>>, which: Fault) {
    // An error means that the fault cannot change any more.
    let _ = fault.wait_for(|fault| *fault != Some(which)).await;
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
        self.check(Operation::Prepare, None).await?;
        self.inner.prepare().await
    }

    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError> {
        self.check(Operation::Put, Some(key)).await?;
        self.inner.put_file(key, spooled, durability).await
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError> {
        self.check(Operation::Put, Some(key)).await?;
        self.inner.put_bytes(key, bytes, durability).await
    }

    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError> {
        self.check(Operation::Sync, None).await?;
        self.inner.sync(keys).await
    }

    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        self.check(Operation::Open, Some(key)).await?;
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
        let runtime = Handle::current();
        runtime.block_on(self.check(Operation::Open, Some(key)))?;
        let body = self.inner.open_blocking(key)?;
        let fault = self.fault();
        let after = match fault {
            Some(Fault::ShortRead(after)) => return Ok(Box::new(body.take(after))),
            Some(Fault::ReadError(after) | Fault::StalledRead(after)) => after,
            _ => return Ok(body),
        };
        let stalled = fault.filter(|fault| matches!(fault, Fault::StalledRead(_)));
        let stall = stalled.map(|which| (runtime, self.fault.subscribe(), which));
        Ok(Box::new(body.take(after).chain(Broken { stall })))
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        match self.check(Operation::Head, Some(key)).await {
            Err(error) if error.is_not_found() => return Ok(None),
            checked => checked?,
        }
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StorageError> {
        self.check(Operation::Delete, Some(key)).await?;
        let deleted = self.inner.delete(key).await?;
        Ok(deleted && self.fault() != Some(Fault::DeletedElsewhere))
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        let prefix = prefix.to_owned();
        let begin = async move {
            match self.check(Operation::List, None).await {
                Ok(()) => self.inner.list(&prefix),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        stream::once(begin).flatten().boxed()
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.check(Operation::Usage, None).await?;
        self.inner.usage().await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.check(Operation::Probe, None).await?;
        self.inner.probe().await
    }

    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        self.check(Operation::Open, Some(key)).await?;
        self.inner.presign_get(key, expires).await
    }
}

/// The end of an interrupted body for a blocking reader.
struct Broken {
    /// The fault that must be cleared first.
    stall: Option<(Handle, watch::Receiver<Option<Fault>>, Fault)>,
}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if let Some((runtime, fault, which)) = &self.stall {
            runtime.block_on(lifted(fault.clone(), *which));
        }
        Err(io::Error::other("a test wants it"))
    }
}

/// The first `after` bytes of a body, followed by a fault.
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
