//! A storage whose operations are counted and timed.

use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use meters::{Counter, Histogram};
use traces::KeyValue;

use crate::{Blob, Durability, FileObject, Key, Storage, StorageError, Usage};

/// An operation, as far as it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Storing a file or a few bytes.
    Put,
    /// Making earlier changes durable.
    Sync,
    /// Opening an object, until its first byte can be read.
    Open,
    /// Asking for the size of an object.
    Head,
    /// Deleting an object.
    Delete,
    /// Listing objects. Its duration is not measured, as it depends on the caller.
    List,
    /// Checking that the storage works.
    Probe,
}

impl Measured {
    /// All operations.
    pub const ALL: [Self; 7] =
        [Self::Put, Self::Sync, Self::Open, Self::Head, Self::Delete, Self::List, Self::Probe];

    /// A word for the operation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Sync => "sync",
            Self::Open => "open",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Probe => "probe",
        }
    }

    /// The name of its span in traces.
    fn span(self) -> &'static str {
        match self {
            Self::Put => "storage put",
            Self::Sync => "storage sync",
            Self::Open => "storage open",
            Self::Head => "storage head",
            Self::Delete => "storage delete",
            Self::List => "storage list",
            Self::Probe => "storage probe",
        }
    }
}

/// The operations of one kind.
#[derive(Debug)]
pub struct OperationMeter {
    /// Those that have ended.
    pub ended: Counter,
    /// Those of them that failed. An object that does not exist is no failure of its storage.
    pub failed: Counter,
    /// How long they took.
    pub durations: Histogram,
}

/// The operations of one storage.
#[derive(Debug)]
pub struct StorageMeter {
    operations: [OperationMeter; Measured::ALL.len()],
}

impl Default for StorageMeter {
    fn default() -> Self {
        let meter = || OperationMeter {
            ended: Counter::new(),
            failed: Counter::new(),
            durations: Histogram::of_durations(),
        };
        Self { operations: std::array::from_fn(|_| meter()) }
    }
}

impl StorageMeter {
    /// Returns the operations of one kind.
    pub fn of(&self, operation: Measured) -> &OperationMeter {
        &self.operations[operation as usize]
    }

    fn end<T>(&self, operation: Measured, begun: Instant, outcome: &Result<T, StorageError>) {
        let meter = self.of(operation);
        meter.durations.note_duration(begun.elapsed());
        self.count(operation, outcome);
    }

    fn count<T>(&self, operation: Measured, outcome: &Result<T, StorageError>) {
        let meter = self.of(operation);
        meter.ended.increment();
        if outcome.as_ref().is_err_and(|error| !matches!(error, StorageError::NotFound { .. })) {
            meter.failed.increment();
        }
    }
}

/// Counts and times the operations of another storage.
pub struct MeasuredStorage {
    inner: Arc<dyn Storage>,
    meter: Arc<StorageMeter>,
}

impl MeasuredStorage {
    /// Notes the operations of `inner` in `meter`.
    pub fn new(inner: Arc<dyn Storage>, meter: Arc<StorageMeter>) -> Self {
        Self { inner, meter }
    }

    async fn measure<T>(
        &self,
        operation: Measured,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let begun = Instant::now();
        let attributes = || vec![KeyValue::new("cache_server.storage", self.inner.name().to_owned())];
        let outcome = traces::within(operation.span(), attributes, work).await;
        self.meter.end(operation, begun, &outcome);
        outcome
    }
}

#[async_trait]
impl Storage for MeasuredStorage {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn spool_dir(&self) -> &Path {
        self.inner.spool_dir()
    }

    async fn prepare(&self) -> Result<(), StorageError> {
        self.inner.prepare().await
    }

    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError> {
        self.measure(Measured::Put, self.inner.put_file(key, spooled, durability)).await
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError> {
        self.measure(Measured::Put, self.inner.put_bytes(key, bytes, durability)).await
    }

    async fn put_all(
        &self,
        objects: Vec<(Key, Bytes)>,
        durability: Durability,
    ) -> Result<Vec<u64>, StorageError> {
        self.measure(Measured::Put, self.inner.put_all(objects, durability)).await
    }

    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError> {
        self.measure(Measured::Sync, self.inner.sync(keys)).await
    }

    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        self.measure(Measured::Open, self.inner.open(key, expected_size, range)).await
    }

    fn open_now(&self, key: &Key, size: u64) -> Option<FileObject> {
        let begun = Instant::now();
        let file = self.inner.open_now(key, size)?;
        self.meter.end(Measured::Open, begun, &Ok(()));
        Some(file)
    }

    fn open_blocking(&self, key: &Key) -> Result<Box<dyn std::io::Read + Send>, StorageError> {
        let begun = Instant::now();
        let outcome = self.inner.open_blocking(key);
        self.meter.end(Measured::Open, begun, &outcome);
        outcome
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        self.measure(Measured::Head, self.inner.head(key)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StorageError> {
        self.measure(Measured::Delete, self.inner.delete(key)).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        let meter = self.meter.of(Measured::List);
        meter.ended.increment();
        let noted = self.inner.list(prefix).inspect(|entry| {
            if entry.is_err() {
                meter.failed.increment();
            }
        });
        noted.boxed()
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage().await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.measure(Measured::Probe, self.inner.probe()).await
    }

    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        self.inner.presign_get(key, expires).await
    }
}

#[cfg(test)]
mod tests;
