use serde::{Deserialize, Serialize};

/// A storage of a cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StorageSummary {
    /// The cache that keeps its NARs there.
    pub cache: String,
    /// The name of the storage, unique within its cache.
    pub name: String,
    /// The kind of backend.
    pub kind: StorageKind,
    /// A directory, or `s3://BUCKET/PREFIX`. Never holds a secret.
    pub location: String,
    /// Whether files can be written and read.
    pub state: StorageState,
    /// When the storage entered that state; `None` if that is unknown.
    pub since: Option<i64>,
    /// Whether the storage is being emptied. It still serves files, but accepts none, whatever its state.
    pub draining: bool,
    /// The last error. It stays after a recovery.
    pub last_error: Option<String>,
    /// The bytes of the NAR files that this cache has there, according to the catalog.
    pub used_bytes: u64,
    /// The bytes of what it has there beside NARs: listings, debug info links, build logs, realisations.
    #[serde(default)]
    pub by_product_bytes: u64,
    /// The bytes of uploads that have not ended.
    #[serde(default)]
    pub upload_bytes: u64,
    /// The bytes of those that only paths in the trash need.
    #[serde(default)]
    pub trash_bytes: u64,
    /// The bytes of files that are being written.
    pub reserved_bytes: u64,
    /// The bytes that can still be written; `None` if the storage has no limit or does not answer.
    pub free_bytes: Option<u64>,
    /// The size of the storage: `max-size`, else the size of its filesystem; `None` as for `free_bytes`.
    pub total_bytes: Option<u64>,
    /// The most that this cache may use there (`max-size`).
    pub max_bytes: Option<u64>,
    /// The tier; 0 for the fastest storages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tier: u8,
    /// The configured share of the bytes of the cache on this tier, from 0 to 1; `None` unless the strategy is `split`.
    pub share_wanted: Option<f64>,
    /// The actual share of the bytes of the cache on this tier, from 0 to 1; 0 while that is empty.
    pub share_actual: f64,
    /// The number of NAR files that this cache has there, according to the catalog, including damaged ones.
    pub nars: u64,
    /// The number of those that are known to be missing or damaged.
    pub damaged: u64,
    /// The number of further copies there, of NAR files that have another storage as their home. Their bytes are in `used_bytes`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub copies: u64,
    /// The number of those that are known to be missing or damaged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub copies_damaged: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The kind of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageKind {
    /// A directory.
    Local,
    /// A bucket of an S3-compatible store.
    S3,
}

/// Whether the files of a storage can be written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageState {
    /// Files can be written and read.
    Ok,
    /// Files can be read, but there is no room for more.
    Full,
    /// The storage answers with errors, or not at all. Pushes fail over to another storage.
    Failing,
    /// The storage is no longer in the config. Nothing new is written there.
    Disabled,
}
