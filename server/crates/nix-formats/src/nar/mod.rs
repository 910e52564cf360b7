//! NAR, the archive of one store path: read as a stream in constant memory, and written.
//!
//! The format is that of `src/libutil/archive.cc` in Nix: every string is a little-endian 64-bit length, the bytes, and
//! zeros up to a multiple of 8. There is exactly one NAR for a tree, and [`parse`] accepts nothing else. Names are bytes;
//! the root of the tree has the empty name.
//!
//! Nothing here knows about compression or hashing: wrap the reader.

#[cfg(test)]
mod tests;

mod debug_info;
mod error;
mod find;
mod input;
mod keyword;
mod listing;
mod name;
mod parser;
mod visitor;
mod writer;

pub use debug_info::{BuildId, DebugInfo, MAX_BUILD_IDS, ParseBuildIdError};
pub use error::NarError;
pub use find::{FileReader, Found, find_file};
pub use listing::{Listing, ListingError};
pub use visitor::{NarSummary, Visitor, parse};
pub use writer::Writer;

/// Deepest nesting of directories that is read. No path that deep fits the 4096 bytes which Linux allows for one.
pub const MAX_DEPTH: usize = 2048;

/// Longest name of an entry, in bytes. Filesystems that Nix runs on allow 255, or 255 characters of up to 3 bytes.
pub const MAX_NAME_LEN: usize = 1024;

/// Longest target of a symbolic link, in bytes. Linux allows 4095.
pub const MAX_TARGET_LEN: usize = 4096;

/// What a NAR says of a regular file before its contents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileHeader {
    /// Whether the file may be executed.
    pub executable: bool,
    /// Bytes of its contents, as announced.
    pub size: u64,
    /// Where the contents begin, in bytes from the beginning of the NAR.
    pub offset: u64,
}
