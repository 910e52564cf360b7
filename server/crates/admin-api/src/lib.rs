//! What `cachectl` and the daemon say to each other over the admin socket.
//!
//! HTTP/1.1 with JSON bodies over a Unix socket. This crate holds the types of those bodies and the
//! paths they live at, so that neither end can drift from the other; it does no I/O.
//!
//! | request | body | reply |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/caches` | | `Vec<`[`CacheSummary`]`>` |
//! | `GET /v1/caches/NAME` | | [`CacheInfo`] |
//! | `GET /v1/caches/NAME/paths/HASH` | | [`PathInfo`] |
//! | `POST /v1/caches/NAME/keys` | [`AddKey`] | [`KeyInfo`] |
//! | `POST /v1/caches/NAME/keys/retire` | [`RetireKey`] | [`RetiredKey`] |
//! | `GET /v1/caches/NAME/paths?…` | query: [`ListPaths`] | [`PathList`] |
//! | `GET /v1/caches/NAME/paths/HASH/why` | | [`PathWhy`] |
//! | `POST /v1/caches/NAME/paths/HASH/delete` | [`DeletePath`] | [`DeletedPaths`] |
//! | `GET /v1/pins?…` | query: [`ListPins`] | `Vec<`[`PinInfo`]`>`, by cache and name, the newest revision first |
//! | `POST /v1/pins` | [`CreatePin`] | [`PinInfo`] |
//! | `POST /v1/pins/remove` | [`RemovePin`] | [`RemovedPins`] |
//! | `GET /v1/usage?…` | query: [`UsageQuery`] | [`Usage`] |
//! | `GET /v1/tokens` | | `Vec<`[`TokenInfo`]`>` |
//! | `POST /v1/tokens` | [`CreateToken`] | [`CreatedToken`] |
//! | `POST /v1/tokens/ID/revoke` | | [`TokenInfo`] |
//! | `GET /v1/agents` | | `Vec<`[`AgentInfo`]`>`, by name |
//! | `GET /v1/agents/NAME` | | [`AgentInfo`] |
//! | `GET /v1/workspaces` | | `Vec<`[`WorkspaceInfo`]`>`, by name |
//! | `GET /v1/workspaces/NAME` | | [`WorkspaceInfo`] |
//! | `GET /v1/deployments?…` | query: [`ListDeployments`] | `Vec<`[`DeploymentInfo`]`>`, the newest first |
//! | `POST /v1/deployments` | [`Activate`] | `Vec<`[`DeploymentInfo`]`>`, by agent |
//! | `POST /v1/deployments/rollback` | [`Rollback`] | [`DeploymentInfo`] |
//! | `GET /v1/deployments/WHICH` | | [`DeploymentInfo`]; WHICH is an id, `AGENT#NUMBER`, or `AGENT` for its newest |
//! | `GET /v1/deployments/WHICH/log?…` | query: [`FollowLog`] | a stream of [`LogEvent`], one a line |
//! | `POST /v1/deployments/WHICH/cancel` | | [`DeploymentInfo`] |
//! | `GET /v1/jobs` | | `Vec<`[`JobInfo`]`>`, the running ones first, then the last that ended, newest first |
//! | `POST /v1/jobs` | [`JobRequest`] | a stream of [`JobEvent`], one a line |
//! | `POST /v1/jobs/ID/stop` | | [`JobInfo`]; stopping a job that has ended changes nothing |
//! | `GET /v1/workers` | | `Vec<`[`WorkerInfo`]`>`, by name |
//! | `POST /v1/workers/NAME/pause` | | [`WorkerInfo`]; pausing one that is paused changes nothing |
//! | `POST /v1/workers/NAME/resume` | | [`WorkerInfo`]; one that was not paused is left as it is |
//! | `GET /v1/peers` | | `Vec<`[`PeerInfo`]`>` |
//! | `POST /v1/peers/NODE/ping` | | [`Ping`] |
//! | `GET /v1/dht` | | [`DhtInfo`] |
//! | `GET /v1/dht/record?…` | [`ReadRecord`] | [`DhtRecord`] |
//! | `POST /v1/dht/notes` | [`WriteNote`] | [`DhtRecord`] |
//! | `POST /v1/reload` | | [`Reloaded`] |
//! | `GET /v1/doctor` | | `Vec<`[`Finding`]`>` |
//!
//! A reply whose status is not 2xx carries an [`ApiError`].
//!
//! Units, everywhere: sizes are bytes, times are Unix seconds, durations are seconds. Hashes and
//! keys are written as Nix writes them in a narinfo. A field without a value is `null`, never left
//! out.

mod cache;
mod deploy;
mod doctor;
mod error;
mod job;
mod key;
mod network;
mod path;
mod pin;
mod reload;
pub mod routes;
mod status;
mod token;
pub mod units;
mod usage;
mod worker;

#[cfg(test)]
mod tests;

pub use cache::{Access, CacheInfo, CacheSummary, SetupStep, Signing};
pub use deploy::{
    Activate, AgentInfo, DeploymentInfo, DeploymentStatus, FollowLog, ListDeployments, LogEvent, Rollback,
    WorkspaceInfo,
};
pub use doctor::{Finding, FindingLevel};
pub use error::{ApiError, ErrorCode};
pub use job::{
    BackupSummary, DeleteCacheSummary, EVENTS_INTERVAL, EVENTS_MEDIA_TYPE, FsckStorage, FsckSummary, GcCache,
    GcSummary, JobEvent, JobInfo, JobKind, JobRequest, JobState, JobSummary, MoveSummary, NoteLevel,
    RebalanceSummary, ScrubSummary, StopCause, StorageShare, Unit,
};
pub use key::{AddKey, KeyInfo, KeyOrigin, RetireKey, RetiredKey};
pub use network::{
    Announcing, DhtInfo, DhtRecord, Holding, PeerInfo, Ping, ReadRecord, RecordContent, SeenNode, WriteNote,
};
pub use path::{
    DeletePath, DeletedPaths, ListPaths, MAX_PATHS_PER_PAGE, PathInfo, PathList, PathRow, PathWhy,
};
pub use pin::{CreatePin, ListPins, PinInfo, RemovePin, RemovedPins};
pub use reload::Reloaded;
pub use status::{Listener, Purpose, Status, StorageKind, StorageState, StorageSummary};
pub use token::{CreateToken, CreatedToken, Permission, TokenInfo};
pub use usage::{AgeBucket, Usage, UsageBy, UsageQuery};
pub use worker::{WorkerInfo, WorkerState};

/// The version of this API that a build speaks.
///
/// Raised when an older end would misread a newer one. A new endpoint, or a new field of a reply
/// that the older end can ignore, is no reason to raise it.
pub const API_VERSION: u32 = 1;

/// The header in which each end states its [`API_VERSION`], in decimal, on every request and every reply.
///
/// A daemon answers a request of another version with [`ErrorCode::VersionMismatch`]; one without the header,
/// such as a person's curl, it serves.
pub const VERSION_HEADER: &str = "x-cache-server-api";
