//! The trash: paths that were removed from their cache, and whose NAR files stay for a while so that they can be restored.
//!
//! | file | what |
//! |---|---|
//! | `put.rs` | moves removed paths into the trash, as part of their removal |
//! | `restore.rs` | moves a path back with everything it refers to |
//! | `empty.rs` | forgets trashed paths, the oldest first |
//! | `list.rs` | what is in the trash, for operators |
//!
//! A trashed path has no row among the paths of its cache, so no other query finds it. A push of the path takes it out. Its
//! NAR file counts as needed; everything else about files goes by that.

mod empty;
mod list;
mod put;
mod restore;

pub use empty::{EmptiedTrash, TrashToEmpty};
pub use list::{TrashStats, TrashedPath};
pub(crate) use put::{put, take_out};
pub use restore::Restored;

/// The most values in one `IN (…)`. Databases limit the parameters of a statement.
const IN_LIST: usize = 1000;
