//! Storage in a bucket of an S3-compatible service.
//!
//! Below its prefix the bucket is a plain binary cache, like the directory of a local storage. Objects are not cached: reads are
//! streamed, and a stored file leaves the spool. An object is durable once the service has accepted it.
//!
//! The access key needs permission to read, write, delete and list. Without permission to list, services report a missing object as
//! denied access.

mod blocking;
mod body;
mod bucket_reader;
mod client;
mod explain;
mod list;
mod multipart;
mod parts;
mod prepare;
mod progress;
mod put;
mod read;
mod settings;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::blocking::BlockingReader;
use self::client::{Clients, IN_TIME};
use self::explain::Failure;
use crate::{Blob, BlobBody, Context, Durability, Key, Operation, Storage, StorageError, Usage};

pub use self::bucket_reader::{BucketError, BucketReader, BucketSettings};
pub use self::settings::{S3Credentials, S3Settings};

/// A [`Storage`] in a bucket.
pub struct S3Storage {
    name: Arc<str>,
    bucket: String,
    /// The prefix of all keys: empty or ending in a slash.
    prefix: String,
    /// The bucket and the service, for messages.
    place: String,
    spool_dir: PathBuf,
    redirect: bool,
    abandoned_after: Duration,
    clients: Clients,
    /// The spool, locked as long as the storage is in use.
    spool: OnceCell<Arc<File>>,
    /// Set once the bucket is known to exist.
    seen: OnceCell<()>,
    /// When abandoned uploads were last listed.
    swept: Mutex<Option<Instant>>,
    runtime: Handle,
}

impl S3Storage {
    /// Creates a storage in the bucket of `settings`. Sends and creates nothing before [`prepare`](Storage::prepare). Belongs to the
    /// current runtime.
    pub async fn new(settings: S3Settings) -> Self {
        let clients = Clients::new(&settings).await;
        let service = match &settings.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("AWS {}", settings.region),
        };
        let prefix = settings.prefix.trim_matches('/');
        Self {
            name: settings.name.into(),
            place: format!("bucket {} of {service}", settings.bucket),
            bucket: settings.bucket,
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            spool_dir: settings.spool_dir,
            redirect: settings.redirect,
            abandoned_after: settings.abandoned_after,
            clients,
            spool: OnceCell::new(),
            seen: OnceCell::new(),
            swept: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// Replaces `former` and shares its spool if it is the same directory, because uploads there continue.
    pub fn succeeding(self, former: &Self) -> Self {
        if self.spool_dir == former.spool_dir
            && let Some(spool) = former.spool.get()
        {
            // This storage has not locked it yet.
            let _ = self.spool.set(spool.clone());
        }
        self
    }

    /// Returns the name of an object within the bucket.
    fn object(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn context(&self, operation: Operation, key: Option<&Key>) -> Context {
        Context { storage: self.name.clone(), operation, key: key.cloned() }
    }

    fn unavailable(&self, context: Context, reason: &str) -> StorageError {
        Failure::Unavailable(reason.to_owned()).into_error(context, &self.place)
    }

    /// The error for a reply that is not from an S3 service, such as from a proxy. Its content is not trusted.
    fn foreign(&self, context: Context, answer: &str) -> StorageError {
        self.unavailable(context, &format!("it does not answer like S3: {answer}"))
    }

    /// Converts an error of the SDK.
    fn explain<E>(&self, context: Context, error: &SdkError<E, HttpResponse>) -> StorageError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Failure::new(error).into_error(context, &self.place)
    }

    /// Waits for a request of a reader, for a bounded time.
    async fn in_time<T>(
        &self,
        context: Context,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        match timeout(IN_TIME, work).await {
            Ok(done) => done,
            Err(_) => Err(self.unavailable(context, "it does not answer in time")),
        }
    }

    /// Runs `job` on a local file on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &self,
        context: Context,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let done = spawn_blocking(job).await.map_err(io::Error::other).flatten();
        done.map_err(|cause| StorageError::Io { context, cause })
    }
}

#[async_trait]
impl Storage for S3Storage {
    fn name(&self) -> &str {
        &self.name
    }

    fn spool_dir(&self) -> &Path {
        &self.spool_dir
    }

    async fn prepare(&self) -> Result<(), StorageError> {
        self.claim_spool().await?;
        let context = || self.context(Operation::Prepare, None);
        self.seen.get_or_try_init(|| self.check_bucket(self.clients.trial(), context())).await?;
        self.remove_abandoned_uploads().await;
        Ok(())
    }

    async fn put_file(&self, key: &Key, spooled: &Path, _durability: Durability) -> Result<(), StorageError> {
        self.upload_file(key, spooled).await
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, _durability: Durability) -> Result<(), StorageError> {
        self.upload(self.context(Operation::Put, Some(key)), &self.object(key), bytes.into()).await
    }

    async fn sync(&self, _keys: &[Key]) -> Result<(), StorageError> {
        Ok(())
    }

    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        let context = self.context(Operation::Open, Some(key));
        self.in_time(context.clone(), self.read(context, key, expected_size, range)).await
    }

    fn open_blocking(&self, key: &Key) -> Result<Box<dyn Read + Send>, StorageError> {
        let blob = self.runtime.block_on(self.open(key, None, None))?;
        Ok(match blob.into_body() {
            BlobBody::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            BlobBody::Stream(pieces) => Box::new(BlockingReader::new(self.runtime.clone(), pieces)),
        })
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        let context = self.context(Operation::Head, Some(key));
        self.in_time(context.clone(), self.size(context, key)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StorageError> {
        let context = self.context(Operation::Delete, Some(key));
        // A deletion does not report whether the object existed.
        if self.in_time(context.clone(), self.size(context.clone(), key)).await?.is_none() {
            return Ok(false);
        }
        let delete = self.clients.quick.delete_object().bucket(&self.bucket).key(self.object(key));
        match delete.send().await {
            Ok(_) => Ok(true),
            // Some services report it anyway.
            Err(error) => match self.explain(context, &error) {
                error if error.is_not_found() => Ok(false),
                error => Err(error),
            },
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        self.list_objects(prefix)
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        Ok(Usage { total: None, free: None })
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.claim_spool().await?;
        self.try_out().await?;
        // An error means that it is already set.
        let _ = self.seen.set(());
        self.remove_abandoned_uploads().await;
        Ok(())
    }

    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        if !self.redirect {
            return Ok(None);
        }
        self.presign(key, expires).await.map(Some)
    }
}
