//! Reading every file again and comparing it with its hash: when somebody asks for it, and slowly all the time.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the job that somebody asks for |
//! | `steady.rs` | what a worker does bit by bit |
//! | `walk.rs` | reading the files of a storage |

mod steady;
mod walk;

use admin_api::{JobSummary, NoteLevel, ScrubSummary, Unit};
use catalog::{CatalogError, StorageJob, UnixTime};
use tokio_util::sync::CancellationToken;

use super::JobError;
use super::job::Reporter;
use super::scope::Scope;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::core::Core;

pub use self::steady::{SteadyProgress, scrub_steadily};

use self::walk::{BEGINNING, Pace, Walk, Watcher};

/// Bytes per second that are read unless someone asks for more: enough for 4 TiB a day, and little for a disk.
const DEFAULT_RATE: u64 = 50_000_000;

pub(super) async fn scrub(
    core: &Core,
    scope: &Scope,
    rate: Option<u64>,
    restart: bool,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let mut total = 0;
    let mut begun = Vec::new();
    let storages = scope.storages(core);
    for (cache, storage) in &storages {
        total += bytes_to_scrub(core, cache, storage).await?;
        let saved = core.catalog.job_state(storage.id, StorageJob::Scrub).await?;
        // One that has come to its end is no reason to begin in the middle.
        let state = saved.filter(|state| !restart && state.finished_at.is_none()).unwrap_or(BEGINNING);
        begun.push((cache, storage, state));
    }
    let done = begun.iter().map(|(_, _, state)| state.bytes).sum();
    reporter.begin(None, Unit::Bytes, done, Some(total.max(done)));
    let mut summary = ScrubSummary::default();
    let mut pace = Pace::new(rate.unwrap_or(DEFAULT_RATE));
    for (cache, storage, mut state) in begun {
        if state.started_at == UnixTime(0) {
            state.started_at = UnixTime::now();
        } else {
            let text = format!("{}/{}: going on after {} files", cache.name(), storage.name(), state.files);
            reporter.note(NoteLevel::Info, text);
        }
        let job = StorageJob::Scrub;
        let mut walk = Walk { core, cache, storage, job, watcher: reporter, pace: &mut pace };
        walk.run(&mut state, None).await?;
        summary.files += state.files;
        summary.bytes += state.bytes;
        summary.damaged += state.damaged;
        summary.unreadable += state.failed;
    }
    Ok(JobSummary::Scrub(summary))
}

/// The bytes of the files on a storage, further copies included.
async fn bytes_to_scrub(core: &Core, cache: &Cache, storage: &CacheStorage) -> Result<u64, CatalogError> {
    let homes = core.catalog.storage_stats(storage.id).await?.file_bytes;
    if !cache.has_copies() {
        return Ok(homes);
    }
    Ok(homes + core.catalog.storage_copies(storage.id).await?.bytes)
}

impl Watcher for Reporter {
    fn stop_token(&self) -> CancellationToken {
        Self::stop_token(self)
    }

    fn advance(&self, bytes: u64) {
        Self::advance(self, bytes);
    }

    fn note(&self, level: NoteLevel, text: String) {
        Self::note(self, level, text);
    }
}
