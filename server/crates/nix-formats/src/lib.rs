//! The formats a Nix binary cache is made of, as types that are valid once they exist: store paths, hashes, narinfo,
//! signatures and NAR.
//!
//! This crate knows bytes and text only. It does no I/O of its own (NAR is read from and written to any
//! [`std::io::Read`] and [`std::io::Write`]), has no async, and must not know about HTTP, storage or the catalog.

mod compression;
mod content_address;
mod hash;
mod nar_file_name;
mod narinfo;
mod signing;
mod store_path;

pub mod nar;
pub mod nix32;

pub use compression::{Compression, UnknownCompression};
pub use content_address::{ContentAddress, ContentAddressError, ContentAddressMethod, HashAlgorithm};
pub use hash::{FileHash, NarHash, ParseHashError};
pub use nar_file_name::{NarFileName, ParseNarFileNameError};
pub use narinfo::{NarInfo, NarInfoError};
pub use signing::{KeyError, PublicKey, Signature, SigningKey, fingerprint};
pub use store_path::{STORE_DIR, StorePath, StorePathError, StorePathHash};
