//! The part of garbage collection that the catalog does.
//!
//! | file | what |
//! |---|---|
//! | `load.rs` | reads the paths of a cache, their references and what protects them |
//! | `batches.rs` | splits dead paths into batches that do not delay other writers |
//! | `census.rs` | computes until when each path lives, what keeps it alive, and in which order paths may be removed |
//! | `trace.rs` | propagates the time of use along references |
//! | `tombstone_paths.rs` | removes dead paths from their cache and leaves tombstones |
//! | `delete.rs` | removes a path on request |
//! | `tombstones.rs` | lists the files that are still to be removed from the storages |
//! | `nars.rs` | finds NAR files that no path needs |
//!
//! Tombstoning a path deletes its rows and leaves a tombstone that says where its files are. So queries for paths need not know
//! about tombstones, and a push of a tombstoned path creates it anew.

mod batches;
mod census;
mod delete;
mod holds;
mod load;
mod nars;
mod tombstone_paths;
mod tombstones;
mod trace;

pub use batches::Batches;
pub use census::{Census, Fate, GcPath, Held};
pub use delete::{Deleted, DeletedPath, Deletion};
pub(crate) use nars::{paths_with_it, trashed_with_it};
pub use tombstone_paths::{TombstoneBatch, TombstoneOutcome};
pub use tombstones::Tombstone;

/// The most values in one `IN (…)`. Databases limit the parameters of a statement.
pub(crate) const IN_LIST: usize = 1000;
