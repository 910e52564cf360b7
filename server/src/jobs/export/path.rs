//! The export of one path.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use admin_api::{ApiError, ErrorCode};
use bytes::Bytes;
use catalog::PathRecord;
use futures_util::stream::{self, StreamExt as _};
use nar_storage::{Blob, BlobBody, Key, layout};
use nix_formats::{FileHash, StorePathHash};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::target::{Contents, Target};
use crate::cache::Cache;
use crate::cache::narinfo::{nar_file_name, stored_narinfo};
use crate::chain::chain;
use crate::core::Core;
use crate::jobs::JobError;
use crate::jobs::transfer::{Carrier, Done, Fate, Throttle};

/// How long to wait before a path is tried again.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15)];
/// Names of NAR files after which the locks that nobody needs are thrown away.
const MANY_LOCKS: usize = 1024;

/// What exports the paths of one cache.
pub(super) struct Exporter {
    pub(super) core: Arc<Core>,
    /// By name, because a reload may replace the cache meanwhile.
    pub(super) cache: String,
    pub(super) target: Target,
    pub(super) dry_run: bool,
    pub(super) throttle: Throttle,
    pub(super) stop: CancellationToken,
    /// Bytes of files that were written.
    pub(super) written: AtomicU64,
    /// Held while a NAR is written that several paths may have.
    pub(super) files: Mutex<HashMap<FileHash, Arc<tokio::sync::Mutex<()>>>>,
}

impl Carrier for Exporter {
    const VERB: &'static str = "exported";

    async fn carry(&self, hash: StorePathHash) -> Result<Done, JobError> {
        let mut attempts = 0;
        loop {
            let (path, reason) = match self.attempt(&hash).await? {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if self.stop.is_cancelled() {
                return Err(JobError::Stopped);
            }
            let Some(pause) = PAUSES.get(attempts) else {
                return Err(JobError::Failed(ApiError {
                    code: ErrorCode::Unavailable,
                    message: format!("{path} cannot be written: {reason}"),
                    hint: Some("repeat the command to go on; what was exported stays".to_owned()),
                }));
            };
            attempts += 1;
            if self.stop.run_until_cancelled(tokio::time::sleep(*pause)).await.is_none() {
                return Err(JobError::Stopped);
            }
        }
    }

    fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl Exporter {
    /// Tries a path once. The inner error names the path, and says why the target did not take it.
    async fn attempt(&self, hash: &StorePathHash) -> Result<Result<Done, (String, String)>, JobError> {
        let skipped = |path: String, reason: &str| Done {
            fate: Fate::Skipped { path, reason: reason.to_owned() },
            references: Vec::new(),
        };
        let Some(cache) = self.core.find_cache(&self.cache) else {
            return Err(JobError::Failed(ApiError {
                code: ErrorCode::NotFound,
                message: format!("there is no cache called `{}` any more", self.cache),
                hint: None,
            }));
        };
        let found = match cache.find_path(&self.core.catalog, hash).await {
            Ok(found) => found,
            Err(error) => return Ok(Err((hash.to_string(), chain(&error)))),
        };
        let Some(record) = found else {
            return Ok(Ok(skipped(hash.to_string(), "the cache does not have it")));
        };
        let path = record.path.base_name();
        match self.export(&cache, &record).await {
            Ok(Some(fate)) => Ok(Ok(Done { fate, references: record.references })),
            Ok(None) => Ok(Ok(skipped(path, "its NAR cannot be read right now"))),
            Err(reason) => Ok(Err((path, reason))),
        }
    }

    /// Exports a path; `None` if its NAR cannot be read.
    async fn export(&self, cache: &Arc<Cache>, record: &PathRecord) -> Result<Option<Fate>, String> {
        let name = nar_file_name(record);
        let (nar_key, narinfo_key) = (layout::nar_key(&name), layout::narinfo_key(record.path.hash()));
        let narinfo = Bytes::from(stored_narinfo(cache, record).to_string());
        let lock = self.lock_of(name.file_hash);
        let _writing = lock.lock().await;
        let has_nar = self.target.size(&nar_key).await? == Some(record.nar.file_size);
        if has_nar && self.target.read(&narinfo_key).await? == Some(narinfo.clone()) {
            return Ok(Some(Fate::Present));
        }
        let fate = Fate::Moved { file_bytes: record.nar.file_size, nar_bytes: record.nar.nar_size };
        if self.dry_run {
            return Ok(Some(fate));
        }
        if !has_nar {
            let Some(nar) = self.open(cache, record).await else { return Ok(None) };
            self.write(&nar_key, nar).await?;
        }
        self.target.write(&narinfo_key, stream::once(async { Ok(narinfo) }).boxed()).await?;
        Ok(Some(fate))
    }

    async fn open(&self, cache: &Cache, record: &PathRecord) -> Option<Blob> {
        let name = nar_file_name(record);
        let nar = cache.find_nar(&self.core.catalog, &name).await.ok()??;
        cache.open_nar(&self.core.catalog, &name, &nar, None).await.ok()?
    }

    /// Writes a NAR, below the rate. Its length was checked when it was opened, and a stream of another length ends in an error.
    async fn write(&self, key: &Key, nar: Blob) -> Result<(), String> {
        let pieces: Contents<'_> = match nar.into_body() {
            BlobBody::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
            BlobBody::Stream(pieces) => pieces.map(|piece| piece.map_err(|error| error.to_string())).boxed(),
        };
        let contents = pieces.then(|piece| async move {
            if self.stop.is_cancelled() {
                return Err("the export was stopped".to_owned());
            }
            let piece = piece?;
            self.throttle.pass(piece.len()).await;
            self.written.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(piece)
        });
        self.target.write(key, contents.boxed()).await
    }

    fn lock_of(&self, file: FileHash) -> Arc<tokio::sync::Mutex<()>> {
        let mut files = self.files.lock();
        if files.len() >= MANY_LOCKS {
            files.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        files.entry(file).or_default().clone()
    }
}
