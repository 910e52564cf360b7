//! narinfo: the text that describes a store path and locates its NAR (protocol reference 2.3).

#[cfg(test)]
mod tests;

mod error;
mod parse;
mod render;

pub use error::NarInfoError;

use crate::{Compression, FileHash, NarHash, Signature, StorePath, fingerprint};

/// The content of a narinfo.
///
/// `Display` writes it in the order of Nix, always with `Compression`, each line ending in a line feed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NarInfo {
    /// The path described.
    pub store_path: StorePath,
    /// Where the NAR file is, relative to the narinfo or absolute. Without whitespace and control characters.
    pub url: String,
    /// How the NAR file is compressed.
    pub compression: Compression,
    /// Hash of the NAR file.
    pub file_hash: Option<FileHash>,
    /// Bytes of the NAR file.
    pub file_size: Option<u64>,
    /// Hash of the NAR.
    pub nar_hash: NarHash,
    /// Bytes of the NAR; never 0.
    pub nar_size: u64,
    /// The paths it refers to, itself among them if so, in any order.
    pub references: Vec<StorePath>,
    /// The derivation it was built by.
    pub deriver: Option<StorePath>,
    /// What vouches for it; not verified by reading it.
    pub signatures: Vec<Signature>,
    /// The content address of a content-addressed path. Without whitespace and control characters.
    pub ca: Option<String>,
}

impl NarInfo {
    /// Reads a narinfo as strictly as Nix does, and stricter where Nix would take something else than what is meant: a
    /// line without a space after its colon (whose value Nix cuts, or takes from the next line) and a field given
    /// twice are refused. Unknown fields are ignored, and so are signatures that are not
    /// `<key name>:<base 64 of 64 bytes>`, and those beyond the first 256. A missing or empty `Compression` means bzip2.
    ///
    /// # Errors
    ///
    /// See [`NarInfoError`].
    pub fn parse(text: &str) -> Result<Self, NarInfoError> {
        parse::parse(text)
    }

    /// What the signatures have to cover.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.store_path, &self.nar_hash, self.nar_size, &self.references)
    }
}
