//! Long jobs: the request that starts one, the events while it runs, and its result.

mod event;
mod info;
mod moving;
mod summary;

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Lines, Since};

pub use event::{JobEvent, NoteLevel, StopCause};
pub use info::{JobInfo, JobState, Unit};
pub use moving::{
    ExportRequest, ExportSummary, ImportCredentials, ImportRequest, ImportSummary, SkippedPaths,
};
pub use summary::{
    BackupSummary, DeleteCacheSummary, FsckStorage, FsckSummary, GcCache, GcSummary, JobSummary, MoveSummary,
    RebalanceSummary, ScrubSummary, StorageShare,
};

/// The media type of [`Lines`]: one JSON object per line.
pub const EVENTS_MEDIA_TYPE: &str = "application/x-ndjson";

/// The longest time for which a stream of events is silent. If nothing has changed, the daemon repeats the last
/// [`JobEvent::Progress`], so that a client can tell a slow job from a daemon that hangs.
pub const EVENTS_INTERVAL: Duration = Duration::from_secs(1);

/// Lists the jobs: the running ones first, then the last that ended, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListJobs {}

impl Endpoint for ListJobs {
    type Reply = Vec<JobInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/jobs";
    const SINCE: Since = Since::Jobs;
}

/// Stops a job. Stopping a job that has ended changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopJob {
    /// [`JobInfo::id`] of the job.
    pub id: String,
}

impl Endpoint for StopJob {
    type Reply = JobInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/jobs/{id}/stop";
    const SINCE: Since = Since::Jobs;
}

/// Starts a long job, or joins one.
///
/// If a job of the same kind already works on the same things, the request joins it and gets its events from then on,
/// beginning with its progress so far. A joining request cannot change the rate of a scrub or restart it; the daemon
/// reports that with a [`JobEvent::Note`]. The daemon refuses a job with
/// [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if it would interfere with another one, or if it differs from
/// the running one of its kind, such as an fsck that repairs while another only checks.
///
/// The job belongs to the daemon and continues when the client disconnects.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum JobRequest {
    /// Moves all files off a storage, to where the cache's strategy places them.
    Drain {
        /// The cache; `None` if only one cache has a storage of this name.
        cache: Option<String>,
        /// The storage to empty.
        storage: String,
    },
    /// Moves files until each storage has its share.
    Rebalance {
        /// The cache; `None` for all of them, one after the other.
        cache: Option<String>,
    },
    /// Reads every file and compares it with its hash.
    Scrub {
        /// The cache; `None` for all of them.
        cache: Option<String>,
        /// The storage; `None` for all storages of the cache or caches.
        storage: Option<String>,
        /// The most bytes to read per second; `None` for the daemon's own limit.
        rate: Option<u64>,
        /// Whether to start over instead of where the last scrub stopped.
        restart: bool,
    },
    /// Compares the catalog with the storages in both directions, and repairs what is safe to repair.
    Fsck {
        /// The cache; `None` for all of them.
        cache: Option<String>,
        /// The storage; `None` for all storages of the cache or caches. Left out if `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        storage: Option<String>,
        /// Whether to add paths to the catalog that only the storages know.
        rebuild: bool,
        /// Whether to change nothing and only report.
        dry_run: bool,
    },
    /// Removes the paths that nothing keeps alive.
    Gc {
        /// The cache; `None` for all of them.
        cache: Option<String>,
        /// Whether to remove nothing and only report, with a [`JobEvent::Note`] for each path that would be removed.
        dry_run: bool,
        /// The size to which each cache is reduced by removing the least recently used paths, in bytes.
        to_size: Option<u64>,
        /// The seconds for which an unused path is kept, instead of the retention of its cache.
        older_than: Option<u64>,
        /// Whether to trust the system clock although it contradicts the time that was last seen. Left out if `false`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_clock: bool,
        /// Whether to remove the files at once instead of keeping them in the trash. Left out if `false`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_trash: bool,
        /// Whether a dry run leaves out the note for each path. Left out if `false`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        brief: bool,
        /// Whether room is needed at once, so that with `to_size` what was used within the grace goes as well. Left out if `false`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        for_room: bool,
    },
    /// Removes a cache that is no longer in the config, with everything in it.
    DeleteCache {
        /// The name of the cache.
        cache: String,
    },
    /// Writes an archive with the catalog, the keys and the configuration while the daemon runs. It holds secrets.
    Backup {
        /// The absolute name of the file, as the daemon sees it. It must not exist.
        file: String,
    },
    /// Brings the paths of another binary cache, or of a Nix store, into a cache.
    Import(ImportRequest),
    /// Writes paths of a cache as a flat binary cache to a directory or a bucket.
    Export(ExportRequest),
}

impl Endpoint for JobRequest {
    type Reply = Lines<JobEvent>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/jobs";
    const SINCE: Since = Since::Jobs;
}

impl JobRequest {
    /// Returns the kind of job that the request asks for.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Drain { .. } => JobKind::Drain,
            Self::Rebalance { .. } => JobKind::Rebalance,
            Self::Scrub { .. } => JobKind::Scrub,
            Self::Fsck { .. } => JobKind::Fsck,
            Self::Gc { .. } => JobKind::Gc,
            Self::DeleteCache { .. } => JobKind::DeleteCache,
            Self::Backup { .. } => JobKind::Backup,
            Self::Import(_) => JobKind::Import,
            Self::Export(_) => JobKind::Export,
        }
    }
}

/// The kind of a long job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// [`JobRequest::Drain`]
    Drain,
    /// [`JobRequest::Rebalance`]
    Rebalance,
    /// [`JobRequest::Scrub`]
    Scrub,
    /// [`JobRequest::Fsck`]
    Fsck,
    /// [`JobRequest::Gc`]
    Gc,
    /// [`JobRequest::DeleteCache`]
    DeleteCache,
    /// [`JobRequest::Backup`]
    Backup,
    /// [`JobRequest::Import`]
    Import,
    /// [`JobRequest::Export`]
    Export,
    /// A kind that this build does not know.
    #[serde(other)]
    Unknown,
}
