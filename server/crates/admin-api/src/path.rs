use serde::{Deserialize, Serialize};

/// A store path that a cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathInfo {
    /// The cache that holds it.
    pub cache: String,
    /// The whole path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// Hash of the uncompressed NAR, `sha256:` and nix32.
    pub nar_hash: String,
    /// Bytes of the uncompressed NAR.
    pub nar_size: u64,
    /// Hash of the compressed file, `sha256:` and nix32.
    pub file_hash: String,
    /// Bytes of the compressed file.
    pub file_size: u64,
    /// The compression of the file, as in a narinfo: `zstd`, `xz`, `none`, …
    pub compression: String,
    /// Where the NAR is, relative to the cache's URL, as in a narinfo.
    pub url: String,
    /// What the path refers to, as `HASH-NAME`; may hold the path itself.
    pub references: Vec<String>,
    /// The derivation that made it, as `HASH-NAME.drv`.
    pub deriver: Option<String>,
    /// Signatures as served in the narinfo, `KEYNAME:BASE64`.
    pub signatures: Vec<String>,
    /// The name of the storage that has the file.
    pub storage: String,
    /// When it was pushed, in Unix seconds.
    pub created_at: i64,
    /// When it was last asked for, in Unix seconds; `None` when never.
    pub last_used_at: Option<i64>,
    /// Whether its file was found missing or broken. It is hidden from clients until pushed again.
    pub damaged: bool,
}
