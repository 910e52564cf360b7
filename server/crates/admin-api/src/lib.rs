//! The admin API: what `cachectl` and the daemon say to each other over the admin socket.
//!
//! HTTP/1.1 with JSON bodies over a Unix socket. This crate does no I/O. It has one file per noun, with the requests
//! about that noun and their replies. Each request is a type that implements [`Endpoint`], which states its method, its
//! path and its reply; [`wire`] encodes and decodes requests from nothing but that.
//!
//! To add a command, write a request type here, a handler in the daemon, and the arguments and the view in `cachectl`.
//!
//! A reply whose status is not 2xx carries an [`ApiError`].
//!
//! Units: sizes are in bytes, times in Unix seconds, durations in seconds, unless a field says otherwise. Hashes and
//! keys are written as in a narinfo. A field without a value is `null`; only fields that say so are left out.

mod agent;
mod cache;
mod deployment;
mod dht;
mod doctor;
mod endpoint;
mod error;
mod job;
mod key;
mod names;
mod path;
mod peer;
mod pin;
mod reload;
mod status;
mod storage;
mod token;
mod trash;
pub mod units;
mod upload;
mod upstream;
mod usage;
pub mod wire;
mod worker;
mod workspace;

#[cfg(test)]
mod tests;

pub use agent::{AgentInfo, ListAgents, ShowAgent};
pub use cache::{Access, CacheInfo, CacheSummary, CopiesSummary, ListCaches, SetupStep, ShowCache, Signing};
pub use deployment::{
    Activate, CancelDeployment, DeploymentInfo, DeploymentStatus, ListDeployments, LogEvent, ReadLog,
    Rollback, ShowDeployment,
};
pub use dht::{
    Announcing, DhtInfo, DhtRecord, Holding, ReadRecord, RecordContent, SeenNode, ShowDht, WriteNote,
};
pub use doctor::{Diagnose, Finding, FindingLevel};
pub use endpoint::{Endpoint, Lines, Since};
pub use error::{ApiError, ErrorCode};
pub use job::{
    BackupSummary, DeleteCacheSummary, EVENTS_INTERVAL, EVENTS_MEDIA_TYPE, ExportRequest, ExportSummary,
    FsckStorage, FsckSummary, GcCache, GcSummary, ImportCredentials, ImportRequest, ImportSummary, JobEvent,
    JobInfo, JobKind, JobRequest, JobState, JobSummary, ListJobs, MoveSummary, NoteLevel, RebalanceSummary,
    ScrubSummary, SkippedPaths, StopCause, StopJob, StorageShare, Unit,
};
pub use key::{AddKey, KeyInfo, KeyOrigin, RetireKey, RetiredKey};
pub use names::nearest;
pub use path::{
    DeletePath, DeletedPaths, ExplainPath, ListPaths, MAX_PATHS_PER_PAGE, MissingPath, PathCopy, PathInfo,
    PathList, PathRow, PathWhy, PushedBy, ShowPath,
};
pub use peer::{ListPeers, PeerInfo, Ping, PingPeer};
pub use pin::{CreatePin, ListPins, PinInfo, RemovePin, RemovedPins};
pub use reload::{Reload, Reloaded};
pub use status::{CatalogFailure, Certificate, Listener, Purpose, ShowStatus, Status};
pub use storage::{StorageKind, StorageState, StorageSummary};
pub use token::{CreateToken, CreatedToken, ListTokens, Permission, RevokeToken, TokenInfo};
pub use trash::{EmptiedTrash, EmptyTrash, ListTrash, RestorePath, RestoredPaths, TrashList, TrashRow};
pub use upload::{AbortUpload, ListUploads, UploadInfo};
pub use upstream::{CheckUpstreams, ListUpstreams, UpstreamCheck, UpstreamInfo, UpstreamState, UpstreamUser};
pub use usage::{AgeBucket, PhysicalStorage, PhysicalUsage, ShowUsage, Usage, UsageBy};
pub use worker::{ListWorkers, PauseWorker, ResumeWorker, WorkerInfo, WorkerState};
pub use workspace::{ListWorkspaces, ShowWorkspace, WorkspaceInfo};

/// The version of this API that a build speaks.
///
/// It is raised when an older end would misread a newer one. A new endpoint is no reason to raise it, and neither is a
/// new field of a reply that the older end can ignore.
pub const API_VERSION: u32 = 1;

/// The header in which each end states its [`API_VERSION`], in decimal, on every request and every reply.
///
/// A daemon answers a request of another version with [`ErrorCode::VersionMismatch`]. It serves a request without the
/// header, such as one that a person sends with `curl`.
pub const VERSION_HEADER: &str = "x-cache-server-api";
