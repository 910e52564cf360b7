//! The archive of a backup: a tar file, compressed with zstd, that begins with a manifest of everything else in it.
//!
//! | file | what |
//! |---|---|
//! | `manifest.rs` | what the archive holds, and what it is of |
//! | `names.rs` | the names of what a backup holds |
//! | `write.rs` | writing one, whole or not at all |
//! | `read.rs` | checking and unpacking one |
//!
//! Knows nothing of the daemon that is backed up.

mod manifest;
pub mod names;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use self::manifest::{BackedUpStorage, FORMAT, MANIFEST, Manifest, Member};
pub use self::read::{ReadError, unpack};
pub use self::write::{Source, write};
