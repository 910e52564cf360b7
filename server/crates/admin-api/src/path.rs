use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Lists the paths of a cache in the order of their hashes.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPaths {
    /// The name of the cache.
    pub cache: String,
    /// List only paths after this store hash: [`PathList::next`] of the previous page.
    pub after: Option<String>,
    /// List at most this many; `None` lets the daemon decide. A page never holds more than [`MAX_PATHS_PER_PAGE`].
    pub limit: Option<u32>,
    /// List only paths whose base name `HASH-NAME` contains this text, ignoring case.
    pub query: Option<String>,
}

impl Endpoint for ListPaths {
    type Reply = PathList;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/caches/{cache}/paths";
    const SINCE: Since = Since::Workers;
}

/// The most paths that one [`PathList`] holds.
pub const MAX_PATHS_PER_PAGE: u32 = 10_000;

/// Describes one store path of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowPath {
    /// The name of the cache.
    pub cache: String,
    /// The store hash, 32 characters.
    pub hash: String,
}

impl Endpoint for ShowPath {
    type Reply = PathInfo;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/caches/{cache}/paths/{hash}";
}

/// Explains why garbage collection keeps a path, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainPath {
    /// The name of the cache.
    pub cache: String,
    /// The store hash, 32 characters.
    pub hash: String,
}

impl Endpoint for ExplainPath {
    type Reply = PathWhy;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/caches/{cache}/paths/{hash}/why";
    const SINCE: Since = Since::Workers;
}

/// Deletes a path, no matter how recently it was used.
///
/// Refused with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if other paths of the cache refer to it and
/// `recursive` is not set, or if a pin holds a path that would be deleted. The message names some of them.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletePath {
    /// The name of the cache.
    pub cache: String,
    /// The store hash, 32 characters.
    pub hash: String,
    /// Whether to delete all paths that refer to the path, directly or indirectly.
    pub recursive: bool,
    /// Whether to remove the files at once instead of keeping them in the trash. Left out if `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_trash: bool,
}

impl Endpoint for DeletePath {
    type Reply = DeletedPaths;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/caches/{cache}/paths/{hash}/delete";
    const SINCE: Since = Since::Workers;
}

/// A page of the paths of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathList {
    /// The paths, in the order of their hashes.
    pub paths: Vec<PathRow>,
    /// The value of [`ListPaths::after`] for the next page; `None` on the last page.
    pub next: Option<String>,
}

/// A store path, in the few figures that a list of paths shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRow {
    /// The cache that holds the path.
    pub cache: String,
    /// The full path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// The bytes of the compressed file.
    pub file_size: u64,
    /// The bytes of the uncompressed NAR.
    pub nar_size: u64,
    /// The name of the storage that has the file.
    pub storage: String,
    /// When the path was pushed.
    pub created_at: i64,
    /// When a client last requested the path; `None` if none did.
    pub last_used_at: Option<i64>,
    /// Whether the file is missing or damaged. Such a path is hidden from clients until it is pushed again.
    pub damaged: bool,
}

/// A store path that a cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathInfo {
    /// The cache that holds the path.
    pub cache: String,
    /// The full path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// The hash of the uncompressed NAR, `sha256:` and nix32.
    pub nar_hash: String,
    /// The bytes of the uncompressed NAR.
    pub nar_size: u64,
    /// The hash of the compressed file, `sha256:` and nix32.
    pub file_hash: String,
    /// The bytes of the compressed file.
    pub file_size: u64,
    /// The compression of the file, as in a narinfo: `zstd`, `xz`, `none`, …
    pub compression: String,
    /// The URL of the NAR relative to that of the cache, as in a narinfo.
    pub url: String,
    /// The references of the path as `HASH-NAME`; may include the path itself.
    pub references: Vec<String>,
    /// The derivation that produced the path, as `HASH-NAME.drv`.
    pub deriver: Option<String>,
    /// The signatures that the narinfo has, `KEYNAME:BASE64`.
    pub signatures: Vec<String>,
    /// The name of the storage that has the file.
    pub storage: String,
    /// When the path was pushed.
    pub created_at: i64,
    /// When a client last requested the path; `None` if none did.
    pub last_used_at: Option<i64>,
    /// The token that the path was pushed with; `None` if it came from elsewhere or that is not known.
    #[serde(default)]
    pub pushed_by: Option<PushedBy>,
    /// Whether the file is missing or damaged. Such a path is hidden from clients until it is pushed again.
    pub damaged: bool,
    /// The further copies of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<PathCopy>,
    /// What its closure lacks, up to 100 paths; empty if the closure is complete.
    #[serde(default)]
    pub missing: Vec<MissingPath>,
    /// Whether readers do not find the path because its closure is incomplete.
    #[serde(default)]
    pub withheld: bool,
}

/// A further copy of the file of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathCopy {
    /// The name of the storage; `None` while that is not decided.
    pub storage: Option<String>,
    /// `wanted`, `copying`, `there`, `damaged` or `leaving`.
    pub state: String,
    /// When its bytes were last compared with the hash.
    pub checked_at: Option<i64>,
}

/// A path that a closure lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPath {
    /// The missing path as `HASH-NAME`.
    pub path: String,
    /// A path of the closure that refers to it, as `HASH-NAME`.
    pub needed_by: String,
    /// Whether the cache holds it, but hides it because its file is damaged or on a storage that is not in use.
    pub hidden: bool,
}

/// The token that a path was pushed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedBy {
    /// Its id.
    pub token: String,
    /// What it is for, as the operator said; `None` if that is nothing, or the token is not known any more.
    pub subject: Option<String>,
}

/// Why garbage collection keeps a path, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathWhy {
    /// The full path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// Whether the path is kept.
    pub live: bool,
    /// The reason, in one sentence for a person.
    pub reason: String,
    /// The chain of paths as `HASH-NAME`, from the path to the one that keeps it. Each is referred to by the next. It
    /// holds only the path itself if that is kept for its own sake, or not at all.
    pub chain: Vec<String>,
    /// When the path can be collected if nothing changes; `None` for never.
    pub goes_at: Option<i64>,
}

/// The result of a [`DeletePath`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedPaths {
    /// The deleted paths, `/nix/store/HASH-NAME`, in no particular order.
    pub paths: Vec<String>,
    /// The bytes of the files that were deleted because no other path needs them.
    pub bytes_freed: u64,
    /// The bytes of the files that stay in the trash, from where [`RestorePath`](crate::RestorePath) brings the paths back.
    #[serde(default)]
    pub bytes_trashed: u64,
    /// When the trash lets go of the paths; `None` if they are not there.
    #[serde(default)]
    pub restorable_until: Option<i64>,
    /// The number of deleted paths whose files are still there because their storage does not answer. The next garbage
    /// collection deletes these files.
    pub postponed: u64,
}
