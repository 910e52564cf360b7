//! Garbage collection, as far as the catalog is concerned.
//!
//! | file | what |
//! |---|---|
//! | `load.rs` | reads the paths of a cache, what they refer to, and which of them are held |
//! | `batches.rs` | gives them a batch at a time, each as large as other writers can bear |
//! | `census.rs` | says until when each path lives, what keeps it alive, and in which order paths may go |
//! | `trace.rs` | how life is passed on along references |
//! | `bury.rs` | takes dead paths out of the cache, leaving tombstones |
//! | `delete.rs` | takes a path out because someone said so |
//! | `tombstones.rs` | what is left to be removed from the storages |
//! | `nars.rs` | files that no path needs |
//!
//! A path that is *buried* is gone: its rows are deleted, and a tombstone says where its files are. So nothing that looks
//! for paths has to know of tombstones, and a push of a buried path makes it anew as if it had never been there.

mod batches;
mod bury;
mod census;
mod delete;
mod holds;
mod load;
mod nars;
mod tombstones;
mod trace;

pub use batches::Batches;
pub use bury::{Burial, Buried};
pub use census::{Census, Fate, GcPath, Held};
pub use delete::{Deleted, DeletedPath, Deletion};
pub use tombstones::Tombstone;

/// How many values stand in one `IN (…)`. Databases limit the parameters of a statement.
const IN_LIST: usize = 1000;
