//! NAR, the archive format of a store path: parsing as a stream in constant memory, and writing.
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

/// The deepest nesting of directories that is accepted. Deeper paths exceed the 4096 bytes that Linux allows.
pub const MAX_DEPTH: usize = 2048;

/// The longest name of an entry in bytes. Filesystems that Nix runs on allow 255, or 255 characters of up to 3 bytes.
pub const MAX_NAME_LEN: usize = 1024;

/// The longest target of a symbolic link in bytes. Linux allows 4095.
pub const MAX_TARGET_LEN: usize = 4096;

/// The metadata of a regular file in a NAR.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileHeader {
    /// Whether the file is executable.
    pub executable: bool,
    /// The announced size of its contents in bytes.
    pub size: u64,
    /// The offset of the contents in the NAR, in bytes.
    pub offset: u64,
}
