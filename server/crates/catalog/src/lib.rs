//! What the daemon knows: which caches exist, which store paths they hold, where each NAR lies, which keys sign, which
//! tokens are valid.
//!
//! Everything lives in one SQL database behind [`Catalog`]. This crate knows nothing of HTTP, of files other than the
//! database, or of policy: it records what it is told and answers questions.
//!
//! Two rules hold for every write:
//!
//! * a call that returned `Ok` is on stable storage and survives a power cut;
//! * writes take effect one after the other, those of one daemon in the order in which they were submitted.
//!
//! The database is SQLite, which one daemon uses, or PostgreSQL, which several may share; [`Catalog::changes`] tells each of
//! them what the others did.

mod caches;
mod catalog;
mod changes;
mod database;
mod entity;
mod error;
mod keys;
mod migration;
mod paths;
mod pins;
mod postgres;
mod rows;
mod sqlite;
mod tokens;
mod types;
mod uploads;
mod usage;
mod writer;

#[cfg(test)]
mod tests;

pub use caches::{CacheRecord, DeclaredCache, DeclaredStorage, StorageRecord};
pub use catalog::Catalog;
pub use changes::{CatalogChange, PathChange};
pub use error::CatalogError;
pub use keys::{KeyOrigin, RegisterKey, SigningKeyRecord};
pub use paths::{CommitOutcome, NarRecord, NewNar, PathCommit, PathRecord};
pub use pins::{Keep, NewPin, PinOutcome, PinRecord};
pub use tokens::{TokenCaches, TokenPermission, TokenRecord};
pub use types::{CacheId, NarId, PathId, StorageId, UnixTime};
pub use uploads::FinishedUpload;
pub use usage::CacheStats;
pub use writer::WriterStats;
