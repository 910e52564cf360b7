//! What a client says about the path it pushes.

use nix_formats::{Compression, FileHash, NarHash, NarInfo, StorePath, fingerprint};
use uuid::Uuid;

use crate::cache::PushError;
use crate::cache::keys::Offered;

/// The announced properties of a path. All of them are verified, or harmless.
pub struct PathDescription {
    /// The store path.
    pub path: StorePath,
    /// SHA-256 of the NAR.
    pub nar_hash: NarHash,
    /// Length of the NAR in bytes; never 0.
    pub nar_size: u64,
    /// SHA-256 of the compressed file.
    pub file_hash: FileHash,
    /// How the file is compressed, if that was not known when it was uploaded.
    pub compression: Option<Compression>,
    /// Length of the compressed file in bytes, if announced.
    pub file_size: Option<u64>,
    /// Referenced store paths; they need not be in the cache.
    pub references: Vec<StorePath>,
    /// The derivation that built it, if known.
    pub deriver: Option<StorePath>,
    /// Content address, if it is content-addressed.
    pub ca: Option<String>,
    /// The signatures that came along.
    pub offered: Offered,
    /// The token that it is pushed with; `None` for a path that is kept from elsewhere.
    pub pushed_by: Option<Uuid>,
}

impl PathDescription {
    /// Takes over what a narinfo says. `file_hash` is the one in the name of its NAR.
    pub fn from_narinfo(narinfo: NarInfo, file_hash: FileHash) -> Result<Self, PushError> {
        if narinfo.file_hash.is_some_and(|hash| hash != file_hash) {
            return Err(PushError::Invalid("FileHash and URL name different files".to_owned()));
        }
        Ok(Self {
            path: narinfo.store_path,
            nar_hash: narinfo.nar_hash,
            nar_size: narinfo.nar_size,
            file_hash,
            compression: Some(narinfo.compression),
            file_size: narinfo.file_size,
            references: narinfo.references,
            deriver: narinfo.deriver,
            ca: narinfo.ca,
            offered: Offered::Named(narinfo.signatures),
            pushed_by: None,
        })
    }

    /// The text that signatures of this path cover.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.path, &self.nar_hash, self.nar_size, &self.references)
    }
}
