//! The formats of a Nix binary cache as types that are always valid: store paths, hashes, narinfo, signatures and NAR.
//!
//! This crate knows only bytes and text. It does no I/O of its own (a NAR is read from any [`std::io::Read`] and written to any
//! [`std::io::Write`]), is not async, and must not know HTTP, storages or the catalog.

mod compression;
mod content_address;
mod hash;
mod nar_file_name;
mod narinfo;
mod realisation;
mod signing;
mod store_path;

pub mod nar;
pub mod nix32;

#[cfg(test)]
mod tests;

pub use compression::{Compression, UnknownCompression};
pub use content_address::{ContentAddress, ContentAddressError, ContentAddressMethod, HashAlgorithm};
pub use hash::{FileHash, NarHash, ParseHashError};
pub use nar_file_name::{NarFileName, ParseNarFileNameError};
pub use narinfo::{NarInfo, NarInfoError};
pub use realisation::{Realisation, RealisationError, RealisationKey};
pub use signing::{KeyError, PublicKey, Signature, SigningKey, fingerprint};
pub use store_path::{STORE_DIR, StorePath, StorePathError, StorePathHash};
