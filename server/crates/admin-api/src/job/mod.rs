//! Long jobs: what is asked for, what is told while one runs, and what it came to.

mod event;
mod info;
mod summary;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use event::{JobEvent, NoteLevel, StopCause};
pub use info::{JobInfo, JobState, Unit};
pub use summary::{
    BackupSummary, DeleteCacheSummary, FsckStorage, FsckSummary, GcCache, GcSummary, JobSummary, MoveSummary,
    RebalanceSummary, ScrubSummary, StorageShare,
};

/// The media type of a stream of [`JobEvent`]s: one JSON object a line.
pub const EVENTS_MEDIA_TYPE: &str = "application/x-ndjson";

/// A stream of [`JobEvent`]s is never silent for longer than this: when nothing has changed, the daemon repeats the
/// last [`JobEvent::Progress`]. So a client can tell a slow job from a daemon that hangs.
pub const EVENTS_INTERVAL: Duration = Duration::from_secs(1);

/// Asks for a long job.
///
/// While a job of the same kind works on the same things, the request joins it and is told what happens from then
/// on, beginning with how far it has come. A rate or a restart that is asked for by such a request is not heeded,
/// which the daemon says with a [`JobEvent::Note`]. A job that would get in the way of another one, or that promises
/// something else than the running one of its kind, such as an fsck that repairs beside one that only looks, is
/// refused with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict).
///
/// The job belongs to the daemon: it goes on when the client goes away.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum JobRequest {
    /// Moves everything off a storage, to where the cache's strategy says.
    Drain {
        /// The cache; `None` when only one cache has a storage of this name.
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
        /// The storage; `None` for all of the cache or caches.
        storage: Option<String>,
        /// Bytes to read per second at most; `None` for the daemon's own limit.
        rate: Option<u64>,
        /// Begin anew instead of where the last scrub left off.
        restart: bool,
    },
    /// Compares the catalog with the storages both ways, and repairs what is safe to repair.
    Fsck {
        /// The cache; `None` for all of them.
        cache: Option<String>,
        /// Take paths into the catalog that only the storages know.
        rebuild: bool,
        /// Change nothing, only tell.
        dry_run: bool,
    },
    /// Removes the paths that nothing keeps alive.
    Gc {
        /// The cache; `None` for all of them.
        cache: Option<String>,
        /// Remove nothing, only tell: a [`JobEvent::Note`] for each of the first paths that would go.
        dry_run: bool,
        /// Go on with the least recently used paths until the cache, or each of them, has no more than so many bytes.
        to_size: Option<u64>,
        /// Keep an unused path for so many seconds, whatever the retention of its cache is.
        older_than: Option<u64>,
        /// Believe the system clock as it is now, although it does not fit the time that was last seen.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_clock: bool,
    },
    /// Removes a cache that is no longer in the config, with all it holds.
    DeleteCache {
        /// The cache.
        cache: String,
    },
    /// Writes a consistent copy of the catalog while the daemon runs; only of one in SQLite.
    Backup {
        /// The absolute name of the file, seen from the daemon. It must not exist.
        file: String,
    },
}

impl JobRequest {
    /// The kind of job that it asks for.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Drain { .. } => JobKind::Drain,
            Self::Rebalance { .. } => JobKind::Rebalance,
            Self::Scrub { .. } => JobKind::Scrub,
            Self::Fsck { .. } => JobKind::Fsck,
            Self::Gc { .. } => JobKind::Gc,
            Self::DeleteCache { .. } => JobKind::DeleteCache,
            Self::Backup { .. } => JobKind::Backup,
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
    /// A kind that this build does not know.
    #[serde(other)]
    Unknown,
}
