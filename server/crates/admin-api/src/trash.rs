use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Lists the paths in the trash of a cache, those that were removed first first.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListTrash {
    /// The name of the cache.
    pub cache: String,
    /// List only paths after this one: [`TrashList::next`] of the previous page.
    pub after: Option<String>,
    /// List at most this many; `None` lets the daemon decide. A page never holds more than
    /// [`MAX_PATHS_PER_PAGE`](crate::MAX_PATHS_PER_PAGE).
    pub limit: Option<u32>,
}

impl Endpoint for ListTrash {
    type Reply = TrashList;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/caches/{cache}/trash";
}

/// Restores a path from the trash, with every path that it refers to and that is in the trash too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePath {
    /// The name of the cache.
    pub cache: String,
    /// The store hash, 32 characters.
    pub hash: String,
}

impl Endpoint for RestorePath {
    type Reply = RestoredPaths;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/caches/{cache}/paths/{hash}/restore";
    const SINCE: Since = Since::Workers;
}

/// Removes everything in the trash of a cache for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyTrash {
    /// The name of the cache.
    pub cache: String,
}

impl Endpoint for EmptyTrash {
    type Reply = EmptiedTrash;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/caches/{cache}/trash/empty";
    const SINCE: Since = Since::Workers;
}

/// A page of the trash of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashList {
    /// The paths, those that were removed first first.
    pub paths: Vec<TrashRow>,
    /// The value of [`ListTrash::after`] for the next page; `None` on the last page.
    pub next: Option<String>,
}

/// A path in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashRow {
    /// The cache that had the path.
    pub cache: String,
    /// The full path, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// The bytes of the compressed file.
    pub file_size: u64,
    /// The name of the storage that has the file.
    pub storage: String,
    /// When the path was removed from the cache.
    pub trashed_at: i64,
    /// When the path goes for good, unless its storage needs room before.
    pub goes_at: i64,
    /// Whether the file is missing or damaged. Such a path cannot be restored.
    pub damaged: bool,
}

/// The result of a [`RestorePath`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredPaths {
    /// The restored paths, `/nix/store/HASH-NAME`, the requested one first.
    pub paths: Vec<String>,
    /// References of these that are neither in the cache nor in its trash.
    pub missing: Vec<String>,
}

/// The result of an [`EmptyTrash`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptiedTrash {
    /// The number of paths that cannot be restored any more.
    pub paths: u64,
    /// The bytes of the files that were removed.
    pub bytes_freed: u64,
    /// The number of paths that stay in the trash because their storage does not answer.
    pub postponed: u64,
}
