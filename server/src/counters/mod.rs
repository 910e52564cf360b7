//! What the daemon counts while it works, for the metrics. `observe` gives the counters names and shows them.
//!
//! Most belong to a cache or a storage and live there. The rest are statics, as the log is: errors are counted where they become
//! replies, far from anything that could be handed to them, and there is one daemon a process. To count is an addition to an
//! atomic, without a lock and without a search.
//!
//! | file | what |
//! |---|---|
//! | `cache.rs` | what belongs to one cache |
//! | `requests.rs` | requests by route and status |
//! | `labels.rs` | reasons and outcomes, each with a counter |

pub mod cache;
pub mod labels;
pub mod requests;

use meters::{Counter, Gauge};

use self::labels::{Counters, DeploymentEnd, JobOutcome, LimitHit, PushRefusal, TokenRefusal};

/// Bytes that arrived on all listeners.
pub static RECEIVED_BYTES: Counter = Counter::new();
/// Bytes that were sent on all listeners.
pub static SENT_BYTES: Counter = Counter::new();
/// Pushes that were refused or failed.
pub static PUSH_REFUSALS: Counters<PushRefusal, { PushRefusal::COUNT }> = Counters::new();
/// Credentials that were refused.
pub static TOKEN_REFUSALS: Counters<TokenRefusal, { TokenRefusal::COUNT }> = Counters::new();
/// Limits that somebody ran into.
pub static LIMIT_HITS: Counters<LimitHit, { LimitHit::COUNT }> = Counters::new();
/// Requests to other caches that were answered.
pub static ASKED_ELSEWHERE: Counter = Counter::new();
/// Requests to other caches that failed.
pub static FAILED_ELSEWHERE: Counter = Counter::new();

/// Deployments that this daemon has ended. If several share a catalog, each counts its own.
pub static DEPLOYMENTS_ENDED: Counters<DeploymentEnd, { DeploymentEnd::COUNT }> = Counters::new();

/// How often a kind of job has ended, and when.
pub struct JobMeter {
    /// By how it ended.
    pub ends: Counters<JobOutcome, { JobOutcome::COUNT }>,
    /// Those that run.
    pub running: Gauge,
    /// When one last came to its end, in seconds since 1970; 0 if none ever did.
    pub last_success: Gauge,
    /// How long that one took, in seconds.
    pub last_duration: Gauge,
}

impl JobMeter {
    const fn new() -> Self {
        Self {
            ends: Counters::new(),
            running: Gauge::new(),
            last_success: Gauge::new(),
            last_duration: Gauge::new(),
        }
    }
}

/// The kinds of jobs, in the order of their numbers.
pub const JOB_KINDS: [&str; 9] =
    ["drain", "rebalance", "scrub", "fsck", "gc", "delete-cache", "backup", "import", "export"];
/// Jobs by their kinds.
pub static JOBS: [JobMeter; JOB_KINDS.len()] = [const { JobMeter::new() }; JOB_KINDS.len()];

/// Further copies of NARs that were made.
pub static COPIES_MADE: Counter = Counter::new();
/// Their bytes.
pub static COPIED_BYTES: Counter = Counter::new();
/// NARs that were copied to a faster tier for readers.
pub static PROMOTED: Counter = Counter::new();
/// NARs that left a faster tier.
pub static DEMOTED: Counter = Counter::new();
/// Further copies of NARs that could not be made, and are tried again.
pub static COPIES_FAILED: Counter = Counter::new();
