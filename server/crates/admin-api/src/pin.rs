use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Lists pins by cache and name, the newest revision first.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPins {
    /// List only pins of this cache.
    pub cache: Option<String>,
}

impl Endpoint for ListPins {
    type Reply = Vec<PinInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/pins";
    const SINCE: Since = Since::Workers;
}

/// Creates a pin, or a new revision of one.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePin {
    /// The cache that holds the path.
    pub cache: String,
    /// The name of the pin.
    pub name: String,
    /// The path to keep: `/nix/store/HASH-NAME`, `HASH-NAME` or `HASH`.
    pub path: String,
    /// As [`PinInfo::keep_days`], at least 1. Excludes `keep_revisions`.
    pub keep_days: Option<u32>,
    /// As [`PinInfo::keep_revisions`], at least 1. Older revisions beyond that number are removed.
    pub keep_revisions: Option<u32>,
}

impl Endpoint for CreatePin {
    type Reply = PinInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/pins";
    const SINCE: Since = Since::Workers;
}

/// Removes a pin. [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if there is none.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovePin {
    /// The name of the cache.
    pub cache: String,
    /// The name of the pin.
    pub name: String,
    /// The revision to remove; `None` for all of them.
    pub revision: Option<u64>,
}

impl Endpoint for RemovePin {
    type Reply = RemovedPins;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/pins/remove";
    const SINCE: Since = Since::Workers;
}

/// One revision of a pin: a name under which a path is kept from garbage collection.
///
/// A revision without `keep_days` and `keep_revisions` is kept until it is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinInfo {
    /// The cache that holds the path.
    pub cache: String,
    /// The name of the pin, unique within its cache.
    pub name: String,
    /// The number of the revision, from 1. Numbers are never reused.
    pub revision: u64,
    /// The path that the pin keeps, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// The days after `created_at` for which the path is kept.
    pub keep_days: Option<u32>,
    /// The number of newer revisions at which the path is no longer kept.
    pub keep_revisions: Option<u32>,
    /// When the revision was created.
    pub created_at: i64,
    /// The files in the path that `cachix pin --artifact` named, relative to it.
    #[serde(default)]
    pub artifacts: Vec<String>,
}

/// The result of a [`RemovePin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPins {
    /// The number of removed revisions, at least 1.
    pub removed: u64,
}
