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

/// Asks for the paths of a cache, in the query of the URL. They come in the order of their hashes.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPaths {
    /// Only those behind this store hash: [`PathList::next`] of the page before.
    pub after: Option<String>,
    /// No more than so many; `None` for as many as the daemon holds right, which never gives more than
    /// [`MAX_PATHS_PER_PAGE`].
    pub limit: Option<u32>,
    /// Only those with this text in their base name `HASH-NAME`, in upper or lower case.
    pub query: Option<String>,
}

/// The most that one [`PathList`] holds.
pub const MAX_PATHS_PER_PAGE: u32 = 10_000;

/// Some of the paths of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathList {
    /// The paths, in the order of their hashes.
    pub paths: Vec<PathRow>,
    /// What to ask for as [`ListPaths::after`] to see more; `None` when these are the last.
    pub next: Option<String>,
}

/// A store path, in the few figures that a list of paths shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRow {
    /// The cache that holds it.
    pub cache: String,
    /// The whole path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// Bytes of the compressed file.
    pub file_size: u64,
    /// Bytes of the uncompressed NAR.
    pub nar_size: u64,
    /// The name of the storage that has the file.
    pub storage: String,
    /// When it was pushed, in Unix seconds.
    pub created_at: i64,
    /// When it was last asked for, in Unix seconds; `None` when never.
    pub last_used_at: Option<i64>,
    /// Whether its file was found missing or broken. It is hidden from clients until pushed again.
    pub damaged: bool,
}

/// Why garbage collection keeps a path, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathWhy {
    /// The whole path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// Whether it is kept.
    pub live: bool,
    /// Why, as one sentence for a person.
    pub reason: String,
    /// The path and what keeps it, as `HASH-NAME`: each is referred to by the next, and the last is kept for its own
    /// sake. Only the path itself when that is kept for its own sake or not at all.
    pub chain: Vec<String>,
    /// When it can be collected if nothing changes, in Unix seconds; `None` when never.
    pub goes_at: Option<i64>,
}

/// Asks for the removal of a path, however lately it was used.
///
/// Refused with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if others of the cache refer to it, unless `recursive`
/// is set, and if a pin holds it or one of those that would go with it. The message names some of them.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletePath {
    /// Remove also what refers to the path, directly or not.
    pub recursive: bool,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedPaths {
    /// The whole paths, `/nix/store/HASH-NAME`, in no order.
    pub paths: Vec<String>,
    /// Bytes of the files that no path needs any more, and that were removed.
    pub bytes_freed: u64,
    /// How many of the paths have files that could not be removed yet, because their storage does not answer. The next
    /// garbage collection does that.
    pub postponed: u64,
}
