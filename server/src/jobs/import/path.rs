//! The import of one path: asked for, fetched, and committed like a push.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use admin_api::{ApiError, ErrorCode};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use nix_formats::{Compression, NarInfo, StorePathHash};
use tokio_util::sync::CancellationToken;

use super::pattern;
use super::source::{Nar, Source, SourceError};
use crate::cache::keys::Offered;
use crate::cache::{Cache, PushError};
use crate::chain::chain;
use crate::core::Core;
use crate::federation::most_bytes_of_file;
use crate::ingest::PathDescription;
use crate::jobs::JobError;
use crate::jobs::transfer::{Carrier, Done, Fate, Throttle};

/// How long to wait before a path is tried again.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];
/// Signatures that are kept of a path. Real ones have a handful.
const MOST_SIGNATURES: usize = 32;
const LONGER: &str = "its file is longer than any that unpacks to its NAR";

/// What imports the paths of one source.
pub(super) struct Importer {
    pub(super) core: Arc<Core>,
    /// By name, because a reload may replace the cache meanwhile.
    pub(super) cache: String,
    pub(super) source: Source,
    /// Patterns of names; all paths if there are none.
    pub(super) filter: Vec<String>,
    /// Whether the walk goes on to what the paths refer to.
    pub(super) closure: bool,
    pub(super) dry_run: bool,
    pub(super) throttle: Throttle,
    pub(super) stop: CancellationToken,
    /// Bytes of files that have arrived.
    pub(super) received: AtomicU64,
}

/// Why a path is not imported.
enum Failure {
    Source(SourceError),
    Push(PushError),
    /// The job cannot go on.
    Job(JobError),
}

impl Carrier for Importer {
    const VERB: &'static str = "imported";

    async fn carry(&self, hash: StorePathHash) -> Result<Done, JobError> {
        let mut attempts = 0;
        let mut name = hash.to_string();
        loop {
            let failure = match self.attempt(&hash, &mut name).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            if self.stop.is_cancelled() {
                return Err(JobError::Stopped);
            }
            if attempts < failure.most_repetitions() {
                let pause = PAUSES[attempts];
                attempts += 1;
                if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return Err(JobError::Stopped);
                }
                continue;
            }
            let reason = failure.into_reason(&self.cache)?;
            return Ok(Done { fate: Fate::Skipped { path: name, reason }, references: Vec::new() });
        }
    }

    fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    fn bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Importer {
    /// Tries it once. `name` becomes that of the path once it is known.
    async fn attempt(&self, hash: &StorePathHash, name: &mut String) -> Result<Done, Failure> {
        let cache = self.core.find_cache(&self.cache).ok_or_else(|| Failure::Job(gone(&self.cache)))?;
        if cache.can_serve(&self.core.catalog, hash).await.map_err(PushError::from)? {
            let record = match self.closure {
                true => self.core.catalog.find_path(cache.id, hash).await.map_err(PushError::from)?,
                false => None,
            };
            let references = record.map(|record| record.references).unwrap_or_default();
            return Ok(Done { fate: Fate::Present, references });
        }
        let narinfo = self.source.narinfo(hash).await?;
        *name = narinfo.store_path.base_name();
        let references = narinfo.references.clone();
        let is_wanted = |pattern: &String| pattern::matches(pattern, narinfo.store_path.name());
        if !(self.filter.is_empty() || self.filter.iter().any(is_wanted)) {
            return Ok(Done { fate: Fate::Filtered, references });
        }
        if self.dry_run {
            let file_bytes = narinfo.file_size.unwrap_or(narinfo.nar_size);
            let fate = Fate::Moved { file_bytes, nar_bytes: narinfo.nar_size };
            return Ok(Done { fate, references });
        }
        let nar_bytes = narinfo.nar_size;
        let file_bytes = self.fetch(&cache, narinfo).await?;
        Ok(Done { fate: Fate::Moved { file_bytes, nar_bytes }, references })
    }

    /// Fetches the NAR of a path and commits it. Returns the bytes of its file.
    async fn fetch(&self, cache: &Arc<Cache>, narinfo: NarInfo) -> Result<u64, Failure> {
        let Nar { body, size, compression, name } = self.source.nar(&narinfo).await?;
        let received = AtomicU64::new(0);
        // Else one that goes on for ever, or unpacks to much more than it says, would fill the spool.
        let most = most_bytes_of_file(narinfo.nar_size);
        let body = self.watched(body, &received, most);
        let uploads = &self.core.uploads;
        let file_hash = uploads.put_file(cache, None, compression, name.as_ref(), size, body).await;
        let received = received.load(Ordering::Relaxed);
        if received > most {
            return Err(SourceError::Unusable(LONGER.to_owned()).into());
        }
        let file_hash = file_hash?;
        let mut signatures = narinfo.signatures.clone();
        signatures.truncate(MOST_SIGNATURES);
        // Without compression the file is the NAR, and a narinfo that says something else of it describes what the server sends, which
        // may be encoded.
        let narinfo = match narinfo.compression {
            Compression::None => NarInfo { file_hash: None, file_size: None, ..narinfo },
            _ => narinfo,
        };
        let mut description = PathDescription::from_narinfo(NarInfo { compression, ..narinfo }, file_hash)?;
        // They say whose path it is and are no proof here: whoever imports a path vouches for its source.
        description.offered = Offered::Checked(signatures);
        self.core.ingest.commit_file(cache, description).await?;
        Ok(received)
    }

    /// The body, below the rate, counted, and ended with an error when the job is to stop, so that the upload ends as well, or
    /// beyond `most` bytes.
    fn watched<'a>(
        &'a self,
        body: impl Stream<Item = Result<Bytes, String>> + Send + 'a,
        received: &'a AtomicU64,
        most: u64,
    ) -> impl Stream<Item = Result<Bytes, String>> + Send + 'a {
        body.then(move |piece| async move {
            if self.stop.is_cancelled() {
                return Err("the import was stopped".to_owned());
            }
            let piece = piece?;
            self.throttle.pass(piece.len()).await;
            let so_far = received.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
            if so_far > most {
                return Err(LONGER.to_owned());
            }
            self.received.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(piece)
        })
    }
}

impl Failure {
    /// How often the path is tried again, because the failure may be gone in a moment.
    fn most_repetitions(&self) -> usize {
        match self {
            Self::Source(SourceError::Unavailable(_)) => PAUSES.len(),
            // A body that broke off, or another path that had the same file at the same time.
            Self::Push(
                PushError::Body(_) | PushError::NarMissing(_) | PushError::UnknownUpload | PushError::Lost,
            ) => 2,
            Self::Push(error) if error.may_pass() && !error.is_full() => PAUSES.len(),
            _ => 0,
        }
    }

    /// Why the path is skipped, or what ends the import.
    fn into_reason(self, cache: &str) -> Result<String, JobError> {
        let give_up = |code, message: String, hint: &str| {
            JobError::Failed(ApiError { code, message, hint: Some(hint.to_owned()) })
        };
        match self {
            Self::Job(error) => Err(error),
            Self::Source(error @ SourceError::Unavailable(_)) => Err(give_up(
                ErrorCode::Unavailable,
                format!("the source does not answer: {}", chain(&error)),
                "repeat the command when it works again; what was imported stays",
            )),
            Self::Source(error) => Ok(chain(&error)),
            Self::Push(PushError::Catalog(error)) => Err(error.into()),
            Self::Push(error) if error.is_full() || error.may_pass() => Err(give_up(
                ErrorCode::Unavailable,
                format!("cache {cache} takes no more: {}", chain(&error)),
                "`cachectl storage list` shows the storages; repeat the command to go on",
            )),
            Self::Push(error) => Ok(chain(&error)),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        Self::Push(error)
    }
}

pub(super) fn gone(cache: &str) -> JobError {
    JobError::Failed(ApiError {
        code: ErrorCode::NotFound,
        message: format!("there is no cache called `{cache}` any more"),
        hint: Some("`cachectl cache list` shows the caches".to_owned()),
    })
}
