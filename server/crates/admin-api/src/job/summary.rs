use serde::{Deserialize, Serialize};

use super::{ExportSummary, ImportSummary};

/// The result of a job that completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JobSummary {
    /// The result of [`JobRequest::Drain`](super::JobRequest::Drain).
    Drain(MoveSummary),
    /// The result of [`JobRequest::Rebalance`](super::JobRequest::Rebalance).
    Rebalance(RebalanceSummary),
    /// The result of [`JobRequest::Scrub`](super::JobRequest::Scrub).
    Scrub(ScrubSummary),
    /// The result of [`JobRequest::Fsck`](super::JobRequest::Fsck).
    Fsck(FsckSummary),
    /// The result of [`JobRequest::Gc`](super::JobRequest::Gc).
    Gc(GcSummary),
    /// The result of [`JobRequest::DeleteCache`](super::JobRequest::DeleteCache).
    DeleteCache(DeleteCacheSummary),
    /// The result of [`JobRequest::Backup`](super::JobRequest::Backup).
    Backup(BackupSummary),
    /// The result of [`JobRequest::Import`](super::JobRequest::Import).
    Import(ImportSummary),
    /// The result of [`JobRequest::Export`](super::JobRequest::Export).
    Export(ExportSummary),
    /// The result of a kind of job that this build does not know.
    #[serde(other)]
    Unknown,
}

/// The files that a job moved between storages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveSummary {
    /// The number of files that were moved.
    pub moved_files: u64,
    /// The bytes of those files.
    pub moved_bytes: u64,
    /// The number of files that should have been moved but could not be.
    pub left_files: u64,
    /// The bytes of those files.
    pub left_bytes: u64,
}

/// The result of a rebalance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RebalanceSummary {
    /// The files that were moved. In JSON these fields are at the same level as the others.
    #[serde(flatten)]
    pub moves: MoveSummary,
    /// The shares of the storages afterwards.
    pub shares: Vec<StorageShare>,
}

/// The share that a storage has of its cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StorageShare {
    /// The name of the cache.
    pub cache: String,
    /// The name of the storage.
    pub storage: String,
    /// The bytes that the cache uses there.
    pub used_bytes: u64,
    /// As [`StorageSummary::share_wanted`](crate::StorageSummary::share_wanted).
    pub share_wanted: Option<f64>,
    /// As [`StorageSummary::share_actual`](crate::StorageSummary::share_actual).
    pub share_actual: f64,
}

/// The result of a scrub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubSummary {
    /// The number of files that were checked.
    pub files: u64,
    /// The bytes that were read.
    pub bytes: u64,
    /// The number of files that are missing or do not match their hash. Their paths are hidden until they are pushed
    /// again.
    pub damaged: u64,
    /// The number of files that could not be read because their storage failed. They may be intact.
    pub unreadable: u64,
}

/// The result of an fsck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsckSummary {
    /// Whether nothing was changed. The counts of repairs then say what would have been repaired.
    pub dry_run: bool,
    /// The result on each storage.
    pub storages: Vec<FsckStorage>,
}

/// The result of an fsck on one storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsckStorage {
    /// The name of the cache.
    pub cache: String,
    /// The name of the storage.
    pub storage: String,
    /// The number of files in the catalog that were looked up in the storage.
    pub files_checked: u64,
    /// The number of those that are missing. Their paths are hidden until they are pushed again.
    pub missing: u64,
    /// The number of those that have the wrong size. Their paths are hidden until they are pushed again.
    pub wrong_size: u64,
    /// The number of files that were removed because no path needs them: NARs, narinfos, listings, debug info links.
    pub orphans_removed: u64,
    /// The number of build logs of derivations of which the cache has no path. They were left alone, because the path may be
    /// still to come.
    #[serde(default)]
    pub unclaimed_logs: u64,
    /// The number of realisations of paths that the cache does not have. They were left alone, because the path may be in another
    /// cache.
    #[serde(default)]
    pub unclaimed_realisations: u64,
    /// The number of narinfo files that were missing or outdated and were rewritten.
    pub narinfos_rewritten: u64,
    /// The number of paths in the storage that the catalog does not know and that were left alone.
    pub unknown_paths: u64,
    /// The number of paths in the storage that were added to the catalog.
    pub paths_rebuilt: u64,
    /// The number of other problems that could not be repaired. A note reported each of them.
    pub problems: u64,
}

/// The result of a garbage collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcSummary {
    /// Whether nothing was removed. The counts of what was removed are 0 then, and others say what would be.
    pub dry_run: bool,
    /// The result in each cache.
    pub caches: Vec<GcCache>,
}

/// The result of a garbage collection in one cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcCache {
    /// The name of the cache.
    pub cache: String,
    /// The number of paths before the collection.
    pub paths_before: u64,
    /// The number of paths that were removed.
    pub paths_removed: u64,
    /// The number of files that were removed because no path needs them any more.
    pub files_removed: u64,
    /// The bytes of those files.
    pub bytes_freed: u64,
    /// The bytes of the files that stay in the trash, from where [`RestorePath`](crate::RestorePath) brings the removed paths
    /// back.
    #[serde(default)]
    pub bytes_trashed: u64,
    /// The number of paths that would be removed. Only of a dry run.
    #[serde(default)]
    pub paths_to_remove: u64,
    /// The number of files that would be removed, or kept for the trash. Only of a dry run.
    #[serde(default)]
    pub files_to_remove: u64,
    /// The bytes of those files. Only of a dry run.
    #[serde(default)]
    pub bytes_to_remove: u64,
    /// The number of paths that were due but not removed, because they are more than an unattended collection may remove.
    #[serde(default)]
    pub held_back: u64,
    /// The number of paths that should have been removed but were not, because their storage does not answer.
    pub postponed: u64,
    /// The number of paths that were kept because they are pinned.
    pub pinned: u64,
    /// The number of paths that were kept, including pinned ones.
    pub kept: u64,
}

/// The result of deleting a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteCacheSummary {
    /// The number of paths that were removed.
    pub paths: u64,
    /// The number of files that were removed.
    pub files: u64,
    /// The bytes of those files.
    pub bytes_freed: u64,
    /// The number of files that could not be removed. The cache stays until they are.
    pub left_files: u64,
}

/// The result of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// The absolute name of the file.
    pub file: String,
    /// The size of the file.
    pub bytes: u64,
}
