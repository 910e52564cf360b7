use serde::{Deserialize, Serialize};

/// What a job came to that got to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JobSummary {
    /// Of [`JobRequest::Drain`](super::JobRequest::Drain).
    Drain(MoveSummary),
    /// Of [`JobRequest::Rebalance`](super::JobRequest::Rebalance).
    Rebalance(RebalanceSummary),
    /// Of [`JobRequest::Scrub`](super::JobRequest::Scrub).
    Scrub(ScrubSummary),
    /// Of [`JobRequest::Fsck`](super::JobRequest::Fsck).
    Fsck(FsckSummary),
    /// Of [`JobRequest::Gc`](super::JobRequest::Gc).
    Gc(GcSummary),
    /// Of [`JobRequest::DeleteCache`](super::JobRequest::DeleteCache).
    DeleteCache(DeleteCacheSummary),
    /// Of [`JobRequest::Backup`](super::JobRequest::Backup).
    Backup(BackupSummary),
    /// Of a job that this build does not know.
    #[serde(other)]
    Unknown,
}

/// What was moved from storage to storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveSummary {
    /// Files that lie elsewhere now.
    pub moved_files: u64,
    /// Their size.
    pub moved_bytes: u64,
    /// Files that should have been moved and could not be.
    pub left_files: u64,
    /// Their size.
    pub left_bytes: u64,
}

/// What came of moving files until each storage has its share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RebalanceSummary {
    /// What was moved; its fields stand beside the others in the JSON.
    #[serde(flatten)]
    pub moves: MoveSummary,
    /// The storages afterwards.
    pub shares: Vec<StorageShare>,
}

/// What part of its cache a storage has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StorageShare {
    /// The cache.
    pub cache: String,
    /// The storage.
    pub storage: String,
    /// Bytes that the cache uses there.
    pub used_bytes: u64,
    /// As [`StorageSummary::share_wanted`](crate::StorageSummary::share_wanted).
    pub share_wanted: Option<f64>,
    /// As [`StorageSummary::share_actual`](crate::StorageSummary::share_actual).
    pub share_actual: f64,
}

/// What came of reading every file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubSummary {
    /// Files that were looked at.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Files that are missing or not what they should be. Their paths are hidden until pushed again.
    pub damaged: u64,
    /// Files that could not be read, because their storage failed; they may be sound.
    pub unreadable: u64,
}

/// What came of comparing the catalog with the storages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsckSummary {
    /// Whether nothing was changed: what is counted as repaired would have been.
    pub dry_run: bool,
    /// Each storage that was compared.
    pub storages: Vec<FsckStorage>,
}

/// What came of comparing the catalog with one storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsckStorage {
    /// The cache.
    pub cache: String,
    /// The storage.
    pub storage: String,
    /// Files of the catalog that were looked for in the storage.
    pub files_checked: u64,
    /// Those that are not there. Their paths are hidden until pushed again.
    pub missing: u64,
    /// Those that have another size than they should. Their paths are hidden until pushed again.
    pub wrong_size: u64,
    /// Files that no path needs and that were removed.
    pub orphans_removed: u64,
    /// Narinfo files that were missing or out of date and were written anew.
    pub narinfos_rewritten: u64,
    /// Paths that the storage has and the catalog does not know, and that were left as they are.
    pub unknown_paths: u64,
    /// Paths that the storage has and that were taken into the catalog.
    pub paths_rebuilt: u64,
    /// What else is wrong and could not be repaired; a note told of each.
    pub problems: u64,
}

/// What came of removing the paths that nothing keeps alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcSummary {
    /// Whether nothing was removed: what is counted as removed would have been.
    pub dry_run: bool,
    /// Each cache that was collected.
    pub caches: Vec<GcCache>,
}

/// What came of removing the paths of one cache that nothing keeps alive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcCache {
    /// The cache.
    pub cache: String,
    /// How many paths it had.
    pub paths_before: u64,
    /// Those that were removed.
    pub paths_removed: u64,
    /// Files that no path needs any more and that were removed.
    pub files_removed: u64,
    /// Their size.
    pub bytes_freed: u64,
    /// Paths that should have been removed, but their storage does not answer.
    pub postponed: u64,
    /// Paths that are kept because they are pinned.
    pub pinned: u64,
    /// Paths that are kept, pinned ones included.
    pub kept: u64,
}

/// What came of removing a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteCacheSummary {
    /// Paths that were removed.
    pub paths: u64,
    /// Files that were removed.
    pub files: u64,
    /// Their size.
    pub bytes_freed: u64,
    /// Files that could not be removed. The cache stays until they are.
    pub left_files: u64,
}

/// What came of copying the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// The absolute name of the file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
}
