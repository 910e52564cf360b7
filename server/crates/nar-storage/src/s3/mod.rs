//! Storage in a bucket of an S3-compatible service.
//!
//! Below its prefix the bucket is a plain binary cache, like the directory of a local storage. Nothing of an object is
//! kept here: reads are passed through as they come, and a stored file leaves the spool. An object is durable once the
//! service has taken it.
//!
//! The access key needs to read, write, delete and list. Without the right to list, services answer that access is
//! denied where an object is missing.

mod blocking;
mod body;
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

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::{runtime::Handle, sync::OnceCell, task::spawn_blocking, time::timeout};

use self::{
    blocking::BlockingReader,
    client::{Clients, IN_TIME},
    explain::Failure,
};
use crate::{Blob, BlobBody, Context, Durability, Key, Operation, Storage, StorageError, Usage};

pub use self::settings::{S3Credentials, S3Settings};

/// A [`Storage`] in a bucket.
pub struct S3Storage {
    name: Arc<str>,
    bucket: String,
    /// What all keys start with: empty, or ending in a slash.
    prefix: String,
    /// Which bucket of which service, for messages.
    place: String,
    spool_dir: PathBuf,
    redirect: bool,
    abandoned_after: Duration,
    clients: Clients,
    /// The spool, locked as long as the storage is in use.
    spool: OnceCell<Arc<File>>,
    /// Whether the bucket has been found to be there.
    seen: OnceCell<()>,
    /// When abandoned uploads were last looked for.
    swept: Mutex<Option<Instant>>,
    runtime: Handle,
}

impl S3Storage {
    /// A storage in the bucket that `settings` name. Asks nobody and creates nothing before
    /// [`prepare`](Storage::prepare). Belongs to the runtime that it is called in.
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

    /// The same storage, in the place of `former`, whose spool it shares if it is the same: what lies there is still being
    /// uploaded.
    pub fn succeeding(self, former: &Self) -> Self {
        if self.spool_dir == former.spool_dir
            && let Some(spool) = former.spool.get()
        {
            // Nobody has claimed it for this one yet.
            let _ = self.spool.set(spool.clone());
        }
        self
    }

    /// Name of an object within the bucket.
    fn object(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn context(&self, operation: Operation, key: Option<&Key>) -> Context {
        Context { storage: Arc::clone(&self.name), operation, key: key.cloned() }
    }

    fn unavailable(&self, context: Context, reason: &str) -> StorageError {
        Failure::Unavailable(reason.to_owned()).into_error(context, &self.place)
    }

    /// Something stands between us and the service, and answers in its place. Nothing it says is to be believed.
    fn foreign(&self, context: Context, answer: &str) -> StorageError {
        self.unavailable(context, &format!("it does not answer like S3: {answer}"))
    }

    /// Turns an error of the SDK into one of ours.
    fn explain<E>(&self, context: Context, error: &SdkError<E, HttpResponse>) -> StorageError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Failure::new(error).into_error(context, &self.place)
    }

    /// Waits for what a reader waits for, no longer than readers do.
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

    /// Runs `job`, which is about a local file, on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &self,
        context: Context,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let done = spawn_blocking(job).await.map_err(io::Error::other).flatten();
        done.map_err(|source| StorageError::Io { context, source })
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
        // A deletion does not tell whether there was something to delete.
        if self.in_time(context.clone(), self.size(context.clone(), key)).await?.is_none() {
            return Ok(false);
        }
        let delete = self.clients.quick.delete_object().bucket(&self.bucket).key(self.object(key));
        match delete.send().await {
            Ok(_) => Ok(true),
            // Some services tell after all.
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
        // Failing means that it is known already.
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
