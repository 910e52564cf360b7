use serde::{Deserialize, Serialize};

/// Asks for a list of pins, in the query of the URL.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPins {
    /// Only those of this cache.
    pub cache: Option<String>,
}

/// One revision of a pin: a name under which a path is kept from garbage collection.
///
/// Without `keep_days` and `keep_revisions` it is kept until it is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinInfo {
    /// The cache that holds the path.
    pub cache: String,
    /// The name of the pin, unique within its cache.
    pub name: String,
    /// The number of the revision under the name, from 1. Numbers are not used again.
    pub revision: u64,
    /// The path it holds on to, `/nix/store/HASH-NAME`.
    pub store_path: String,
    /// It holds for so many days after `created_at`.
    pub keep_days: Option<u32>,
    /// It holds until there are so many newer revisions.
    pub keep_revisions: Option<u32>,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
}

/// Asks for a pin, or for a further revision of one.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePin {
    /// The cache that holds the path.
    pub cache: String,
    /// The name of the pin.
    pub name: String,
    /// The path to hold on to: `/nix/store/HASH-NAME`, `HASH-NAME` or `HASH`.
    pub path: String,
    /// As [`PinInfo::keep_days`], at least 1; excludes `keep_revisions`.
    pub keep_days: Option<u32>,
    /// As [`PinInfo::keep_revisions`], at least 1. Older revisions beyond that number are removed.
    pub keep_revisions: Option<u32>,
}

/// Asks for the removal of a pin. [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) when there is none.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovePin {
    /// The cache.
    pub cache: String,
    /// The name of the pin.
    pub name: String,
    /// The revision to remove; `None` for all of them.
    pub revision: Option<u64>,
}

/// What became of a [`RemovePin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPins {
    /// How many revisions were removed.
    pub removed: u64,
}
