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
//! | `GET /v1/tokens` | | `Vec<`[`TokenInfo`]`>` |
//! | `POST /v1/tokens` | [`CreateToken`] | [`CreatedToken`] |
//! | `POST /v1/tokens/ID/revoke` | | [`TokenInfo`] |
//! | `GET /v1/jobs` | | `Vec<`[`JobInfo`]`>`, the running ones first, then the last that ended, newest first |
//! | `POST /v1/jobs` | [`JobRequest`] | a stream of [`JobEvent`], one a line |
//! | `POST /v1/jobs/ID/stop` | | [`JobInfo`]; stopping a job that has ended changes nothing |
//!
//! A reply whose status is not 2xx carries an [`ApiError`].
//!
//! Units, everywhere: sizes are bytes, times are Unix seconds, durations are seconds. Hashes and
//! keys are written as Nix writes them in a narinfo. A field without a value is `null`, never left
//! out.

mod cache;
mod error;
mod job;
mod path;
pub mod routes;
mod status;
mod token;

#[cfg(test)]
mod tests;

pub use cache::{Access, CacheInfo, CacheSummary, KeyInfo, KeyOrigin, SetupStep, Signing};
pub use error::{ApiError, ErrorCode};
pub use job::{
    EVENTS_INTERVAL, EVENTS_MEDIA_TYPE, FsckStorage, FsckSummary, JobEvent, JobInfo, JobKind, JobRequest,
    JobState, JobSummary, MoveSummary, NoteLevel, RebalanceSummary, ScrubSummary, StopCause, StorageShare,
    Unit,
};
pub use path::PathInfo;
pub use status::{Listener, Purpose, Status, StorageKind, StorageState, StorageSummary};
pub use token::{CreateToken, CreatedToken, Permission, TokenInfo};

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
