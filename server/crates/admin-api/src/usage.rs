use http::Method;
use serde::{Deserialize, Serialize};

use crate::{CacheSummary, Endpoint, PathRow, Since, StorageSummary};

/// Shows how much the caches hold.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowUsage {
    /// Show only these figures. `None` shows those by storage and by cache, but not those by age, for which the daemon
    /// has to visit every path.
    pub by: Option<UsageBy>,
    /// Show only figures of this cache.
    pub cache: Option<String>,
    /// The number of largest paths to list; `None` for none.
    pub top: Option<u32>,
    /// Whether to count what lies on the disks, for which the daemon has to look at every file. `None` for no, so that an older
    /// daemon is only asked what it knows.
    pub physical: Option<bool>,
}

impl Endpoint for ShowUsage {
    type Reply = Usage;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/usage";
    const SINCE: Since = Since::Workers;
}

/// How usage is grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageBy {
    /// By storage.
    Storage,
    /// By cache.
    Cache,
    /// By the time since a path was last used.
    Age,
}

/// How much the caches hold. Figures that were not requested are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The figures of each storage.
    pub storages: Vec<StorageSummary>,
    /// The figures of each cache.
    pub caches: Vec<CacheSummary>,
    /// The figures by age, the most recently used first. Every path is in exactly one bucket.
    pub by_age: Vec<AgeBucket>,
    /// The paths with the largest files, the largest first.
    pub largest: Vec<PathRow>,
    /// What lies on the disks, if that was requested.
    #[serde(default)]
    pub physical: Option<PhysicalUsage>,
}

/// The NAR files on storages, each file counted once however many caches share it. Those in the trash and further copies are
/// included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalUsage {
    /// The figures of each directory and of each bucket.
    pub storages: Vec<PhysicalStorage>,
    /// The sum over the storages that could be counted, in bytes: what the caches would take without sharing.
    pub file_bytes: u64,
    /// The sum of what they take.
    pub physical_bytes: u64,
}

/// The NAR files below one directory, or of one cache in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalStorage {
    /// The name of the storage, or the names that caches have for it.
    pub name: String,
    /// The directory or the URL of the bucket.
    pub location: String,
    /// The caches that have files there.
    pub caches: Vec<String>,
    /// The number of files, of each cache.
    pub files: u64,
    /// Their size in bytes.
    pub file_bytes: u64,
    /// Their size with a file that several caches share counted once.
    pub physical_bytes: u64,
    /// Why it could not be counted. Then the figures are 0.
    pub error: Option<String>,
}

/// The paths that were last used, or pushed if never used, within a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeBucket {
    /// The span, for a person: `last week`, `1 to 4 weeks`.
    pub label: String,
    /// The fewest days since the last use.
    pub from_days: u64,
    /// The number of days since the last use that is no longer in the span; `None` if the span has no end.
    pub to_days: Option<u64>,
    /// The number of paths in the span.
    pub paths: u64,
    /// The bytes of their compressed files. A file that several paths share counts for each.
    pub bytes: u64,
}
