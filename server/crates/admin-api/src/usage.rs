use serde::{Deserialize, Serialize};

use crate::{CacheSummary, PathRow, StorageSummary};

/// Asks how much there is, in the query of the URL.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Only these figures; `None` for those by storage and by cache, but not by age, which takes a look at every path.
    pub by: Option<UsageBy>,
    /// Only those of this cache.
    pub cache: Option<String>,
    /// How many of the largest paths to name; `None` for none.
    pub top: Option<u32>,
}

/// What the figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageBy {
    /// Each storage.
    Storage,
    /// Each cache.
    Cache,
    /// The paths by the time since they were last used.
    Age,
}

/// How much there is. What was not asked for is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// By storage.
    pub storages: Vec<StorageSummary>,
    /// By cache.
    pub caches: Vec<CacheSummary>,
    /// By age, the most recently used first; every path is in one of them.
    pub by_age: Vec<AgeBucket>,
    /// The paths with the largest files, the largest first.
    pub largest: Vec<PathRow>,
}

/// The paths that were last used, or else pushed, within a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeBucket {
    /// The span, for a person: `last week`, `1 to 4 weeks`.
    pub label: String,
    /// That was so many days ago at least.
    pub from_days: u64,
    /// And less than so many days ago; `None` for the last span, which has no end.
    pub to_days: Option<u64>,
    /// How many paths those are.
    pub paths: u64,
    /// Bytes of their compressed files; a file shared by several paths counts for each.
    pub bytes: u64,
}
