use serde::{Deserialize, Serialize};

use crate::CacheSummary;

/// What the daemon is and how it is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the daemon, as its package states it.
    pub version: String,
    /// The [`API_VERSION`](crate::API_VERSION) that the daemon speaks.
    pub api_version: u32,
    /// When the daemon started, in Unix seconds.
    pub started_at: i64,
    /// How long the daemon has run, in seconds, by a clock that does not jump.
    pub uptime_seconds: u64,
    /// The config file in use; `None` when the daemon runs on its built-in defaults.
    pub config: Option<String>,
    /// The directory with the daemon's keys and, unless configured elsewhere, its catalog.
    pub state_dir: String,
    /// Every socket the daemon answers on or, where there is an error, should answer on.
    pub listeners: Vec<Listener>,
    /// Every cache in the catalog, also those that are disabled or no longer in the config.
    pub caches: Vec<CacheSummary>,
    /// Every storage of every cache.
    pub storages: Vec<StorageSummary>,
}

/// A socket that the daemon answers on, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// What is answered there.
    pub purpose: Purpose,
    /// `IP:PORT`, or the absolute file name of a Unix socket.
    pub address: String,
    /// The cache that has this listener to itself.
    pub cache: Option<String>,
    /// Why nothing listens there although the config asks for it; the daemon keeps retrying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The API for all caches (`server-port`).
    Api,
    /// One cache (its own `port`).
    Cache,
    /// Deploy agents (`deploy-port`).
    Deploy,
    /// This API.
    Admin,
}

/// A storage of a cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StorageSummary {
    /// The cache that keeps its NARs there.
    pub cache: String,
    /// The name of the storage, unique within its cache.
    pub name: String,
    /// The kind of backend.
    pub kind: StorageKind,
    /// Where it is: a directory, or `s3://BUCKET/PREFIX`. Holds no secret.
    pub location: String,
    /// Whether it takes and gives files.
    pub state: StorageState,
    /// Since when it is in that state, in Unix seconds; `None` when that is not known.
    pub since: Option<i64>,
    /// Whether it is to be emptied: it still gives files, but takes none, whatever its state.
    pub draining: bool,
    /// What went wrong there last. Stays after a recovery.
    pub last_error: Option<String>,
    /// Bytes that this cache uses there, according to the catalog.
    pub used_bytes: u64,
    /// Bytes of files that are on their way there.
    pub reserved_bytes: u64,
    /// Bytes that can still be stored; `None` when the storage has no limit or does not answer.
    pub free_bytes: Option<u64>,
    /// The size of the storage in bytes: `max-size`, else that of the filesystem; `None` as above.
    pub total_bytes: Option<u64>,
    /// What this cache may use there at most, in bytes (`max-size`).
    pub max_bytes: Option<u64>,
    /// The part of the cache's bytes, from 0 to 1, that should be there; `None` unless the strategy is `split`.
    pub share_wanted: Option<f64>,
    /// The part of the cache's bytes, from 0 to 1, that is there; 0 while the cache is empty.
    pub share_actual: f64,
    /// How many NAR files this cache has there, according to the catalog, damaged ones included.
    pub nars: u64,
    /// How many of those are known as missing or damaged.
    pub damaged: u64,
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

/// Whether a storage takes and gives files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageState {
    /// It does both.
    Ok,
    /// It gives files but has no room for more.
    Full,
    /// It answers with errors or not at all; pushes go elsewhere.
    Failing,
    /// It is no longer in the config; nothing new goes there.
    Disabled,
}
