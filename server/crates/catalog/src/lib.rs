//! The catalog: which caches exist, which store paths they hold, which storage holds each NAR, which keys sign, and which
//! tokens are valid.
//!
//! All data is in one SQL database behind [`Catalog`]. This crate knows neither HTTP nor policy, and no files but the
//! database: it records facts and answers queries.
//!
//! Two rules hold for every write:
//!
//! * a write that returned `Ok` is on stable storage and survives a power failure;
//! * writes take effect one after the other, and those of one daemon in the order in which they were submitted.
//!
//! The database is SQLite for one daemon, or PostgreSQL, which several daemons may share. [`Catalog::changes`] reports the
//! changes that other daemons make.

mod backup;
mod browse;
mod by_products;
mod cache_sizes;
mod caches;
mod catalog;
mod changes;
mod clock;
mod closures;
mod copies;
mod database;
mod deploy;
mod elsewhere;
mod entity;
mod error;
mod gc;
mod generations;
mod identity;
mod inspect;
mod job_history;
mod jobs;
mod keys;
mod migration;
mod open_uploads;
mod paths;
mod pins;
mod postgres;
mod python;
mod realisations;
mod removal;
mod sessions;
mod shared_keys;
mod sqlite;
mod storages;
mod tokens;
mod transfer;
mod trash;
mod types;
mod uploads;
mod usage;
mod web_sessions;
mod writer;

#[cfg(test)]
mod tests;

pub use backup::sqlite_file;
pub use browse::{Added, Closure, NameSearch, Referrer};
pub use cache_sizes::CacheSize;
pub use caches::DeclaredCache;
pub use catalog::Catalog;
pub use changes::{CatalogChange, PathChange};
pub use closures::{IncompletePath, Lack};
pub use copies::{
    CopyCounts, CopyRecord, CopyState, CopyToMake, Release, Released, StorageCopies, Survey, Surveyed,
    UsedFile,
};
pub use deploy::{
    AddedDeployments, AgentRecord, DeclaredAgent, DeclaredWorkspace, DeploymentRecord, DeploymentStatus,
    Fleet, LogAppend, LogLine, NewDeployment, NumberedLine,
};
pub use elsewhere::{ElsewhereCounts, PathElsewhere, Seen};
pub use entity::cache::Model as CacheRecord;
pub use entity::server_key::Model as ServerKeyRecord;
pub use entity::storage::Model as StorageRecord;
pub use entity::workspace::Model as WorkspaceRecord;
pub use error::{CatalogError, DriverError};
pub use gc::{
    Batches, Census, Deleted, DeletedPath, Deletion, Fate, GcPath, Held, Tombstone, TombstoneBatch,
    TombstoneOutcome,
};
pub use generations::Generation;
pub use inspect::{PathLine, PathTotals};
pub use job_history::SavedJob;
pub use jobs::{JobState, StorageJob};
pub use keys::{KeyOrigin, RegisterKey, SigningKeyRecord};
pub use open_uploads::OpenUpload;
pub use paths::{
    CommitOutcome, Damage, MoveOutcome, NarRecord, NewNar, PathCommit, PathHome, PathRecord, ReplacedNar,
    UnpublishedPath,
};
pub use pins::{Keep, NewPin, PinOutcome, PinRecord};
pub use python::{OriginalPath, read_original_database};
pub use removal::Forgotten;
pub use sessions::SessionRecord;
pub use shared_keys::SharedKey;
pub use storages::DeclaredStorage;
pub use tokens::{TokenCaches, TokenPermission, TokenRecord, TokenScope};
pub use trash::{EmptiedTrash, Restored, TrashStats, TrashToEmpty, TrashedPath};
pub use types::{
    AgentId, CacheId, CopyId, DeploymentId, NarId, PathId, PublishTicket, StorageId, TombstoneId, TrashId,
    UnixTime, WorkspaceId,
};
pub use uploads::FinishedUpload;
pub use usage::{CacheStats, NarSums, StorageStats};
pub use web_sessions::WebSession;
pub use writer::{WriteFailure, WriterMeters, WriterStats};
