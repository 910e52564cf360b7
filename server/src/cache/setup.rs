//! Builds the caches at start: catalog rows, storages, keys, and the index of what is there.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use catalog::{CacheRecord, Catalog, CatalogError, DeclaredCache, DeclaredStorage, StorageRecord};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use nar_storage::{DEFAULT_OPEN_FILES, Durability, ReadCache, StorageState, layout};
use nix_formats::{KeyError, STORE_DIR, SigningKey};
use tokio::time::timeout;

use super::index::{Index, ReplyCache, reply_cache};
use super::keys::{KeyFileError, KeyRing, client_key, read_key_files, read_or_generate};
use super::nars::Nars;
use super::shared_key::{KeySharing, SharedKeyError, key_file};
use super::storages::{self, CacheStorage, OpenStorageError, Storages};
use super::{Cache, Caches};
use crate::config::{CacheConfig, Config, SigningMode};
use crate::sealing::Sealer;

/// Most NARs that are kept open. Each takes a kilobyte or so in the kernel.
const MOST_OPEN_FILES: usize = 8192;

/// How long the start waits for a storage. Dead services and disks that hang take longer to be found out.
const START_PROBE: Duration = Duration::from_secs(4);

/// Why the caches could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A signing key file is unusable.
    #[error("cache `{cache}`: {source}")]
    KeyFile {
        /// The cache.
        cache: String,
        /// What is wrong.
        source: KeyFileError,
    },
    /// The key that daemons share cannot be had.
    #[error("cache `{cache}`: {source}")]
    SharedKey {
        /// The cache.
        cache: String,
        /// What is wrong.
        source: SharedKeyError,
    },
    /// The catalog has another key under the name of one that is given.
    #[error(
        "cache `{cache}`: its `signing-key-file` holds another key named `{name}` than the database: a new key needs a \
         new name, and the daemons that share a database need the same keys"
    )]
    OtherKey {
        /// The cache.
        cache: String,
        /// The name of the key.
        name: String,
    },
    /// The secret of a storage cannot be had.
    #[error(transparent)]
    Storage(#[from] OpenStorageError),
    /// A key is malformed.
    #[error("cache `{cache}`: {source}")]
    Key {
        /// The cache.
        cache: String,
        /// What is wrong.
        source: KeyError,
    },
}

/// Everything the setup needs besides the catalog.
pub struct Setup<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// `HOST` of the names `NAME.HOST-1` of keys.
    pub host: &'a str,
    /// Seals what daemons share.
    pub sealer: &'a Sealer,
}

/// Reconciles the catalog with the configuration and builds every enabled cache.
pub async fn set_up(setup: &Setup<'_>, catalog: &Catalog) -> Result<Caches, SetupError> {
    let config = setup.config;
    let declared: Vec<DeclaredCache> = config.caches.iter().map(declare).collect();
    let records = catalog.reconcile_caches(&declared).await?;
    let mut storages = Vec::new();
    for cache in &config.caches {
        let Some(record) = find(&records, cache) else { continue };
        storages.extend(cache.storages.iter().map(|storage| DeclaredStorage {
            cache: record.id,
            name: storage.name.as_str().to_owned(),
            kind: storage.kind.storage_type().as_str().to_owned(),
        }));
    }
    let storage_records = catalog.reconcile_storages(&storages).await?;
    let shared =
        Shared { replies: reply_cache(config.server.narinfo_memory), reads: ReadCache::new(open_files()) };
    let mut caches = Vec::new();
    for cache in config.caches.iter().filter(|cache| cache.enabled) {
        let Some(record) = find(&records, cache) else { continue };
        caches.push(Arc::new(open(setup, catalog, cache, record, &storage_records, &shared).await?));
    }
    probe_all(&caches, catalog).await;
    let disabled = records.into_iter().filter(|record| !record.enabled).collect();
    Ok(Caches::new(caches, disabled))
}

/// Looks at every storage once, all at the same time. One that fails now may work later, so the daemon starts without it.
async fn probe_all(caches: &[Arc<Cache>], catalog: &Catalog) {
    let probes = caches.iter().flat_map(|cache| {
        cache.storages.iter().map(move |storage| async move {
            if timeout(START_PROBE, cache.probe(catalog, storage)).await.is_err() {
                storage.did_not_answer();
            }
        })
    });
    join_all(probes).await;
}

/// What all caches share, because it bounds memory and file descriptors of the process.
struct Shared {
    replies: Arc<ReplyCache>,
    reads: Arc<ReadCache>,
}

/// How many NARs are kept open: a quarter of what the process may open, most of which is for connections.
fn open_files() -> usize {
    use rustix::process::{Resource, getrlimit};
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(allowed / 4).unwrap_or(usize::MAX).clamp(DEFAULT_OPEN_FILES / 4, MOST_OPEN_FILES)
}

fn declare(cache: &CacheConfig) -> DeclaredCache {
    DeclaredCache {
        name: cache.name.as_str().to_owned(),
        public: cache.access == crate::config::Access::Public,
        enabled: cache.enabled,
    }
}

fn find<'a>(records: &'a [CacheRecord], cache: &CacheConfig) -> Option<&'a CacheRecord> {
    records.iter().find(|record| record.name == cache.name.as_str())
}

async fn open(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    record: &CacheRecord,
    storage_records: &[StorageRecord],
    shared: &Shared,
) -> Result<Cache, SetupError> {
    let storages = open_storages(setup, catalog, config, record, storage_records, shared).await?;
    let key_name = format!("{}.{}-1", config.name.as_str(), setup.host);
    let keys = load_keys(setup, catalog, config, record, &key_name).await?;
    let cache = Cache {
        id: record.id,
        config: config.clone(),
        storages,
        former_storages: former_storages(record, storage_records),
        index: Index::new(record.id, shared.replies.clone()),
        nars: Nars::default(),
        key_name,
        keys_in_use: tokio::sync::RwLock::new(()),
        keys: RwLock::new(Arc::new(keys)),
    };
    let mut hashes = std::pin::pin!(catalog.visible_path_hashes(record.id));
    while let Some(batch) = hashes.try_next().await? {
        batch.into_iter().for_each(|hash| cache.index.insert(hash));
    }
    Ok(cache)
}

fn former_storages(cache: &CacheRecord, rows: &[StorageRecord]) -> Vec<StorageRecord> {
    rows.iter().filter(|row| row.cache == cache.id && !row.enabled).cloned().collect()
}

async fn open_storages(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    record: &CacheRecord,
    rows: &[StorageRecord],
    shared: &Shared,
) -> Result<Storages, SetupError> {
    let mut storages = Vec::new();
    for storage in &config.storages {
        let row = rows.iter().find(|row| row.cache == record.id && row.name == storage.name.as_str());
        let Some(row) = row else { continue };
        let state_dir = &setup.config.server.state_dir;
        let backend =
            storages::open(row.id, config, storage, row.marker.clone(), state_dir, &shared.reads).await?;
        let state = StorageState {
            name: storage.name.as_str().into(),
            share: storage.split.unwrap_or(0),
            max_size: storage.max_size,
            draining: storage.draining,
            used: catalog.storage_used(row.id).await?,
        };
        storages.push((backend, state));
    }
    // What cannot be read is as good as none: the turns begin anew.
    let turns = record.turns.parse().unwrap_or_default();
    Ok(Storages::new(config.storage_strategy, storages, &turns))
}

async fn load_keys(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    record: &CacheRecord,
    key_name: &str,
) -> Result<KeyRing, SetupError> {
    let cache = config.name.as_str();
    let key_error = |source| SetupError::Key { cache: cache.to_owned(), source };
    let client = client_key(&catalog.signing_keys(record.id).await?).map_err(key_error)?;
    let server = match (&client, config.signing) {
        // A server key beside a client's would be published under a name of its own and mean nothing to readers.
        (Some(_), _) | (None, SigningMode::Client) => Vec::new(),
        _ => server_keys(setup, catalog, config, record, key_name).await?,
    };
    for key in server.iter().map(SigningKey::public_key) {
        let added = catalog.add_server_key(record.id, key.name(), *key.as_bytes()).await;
        added.map_err(|error| match error {
            CatalogError::KeyNameTaken { name, .. } if !config.signing_key_files.is_empty() => {
                SetupError::OtherKey { cache: cache.to_owned(), name }
            }
            error => error.into(),
        })?;
    }
    Ok(KeyRing::new(config.signing, server, client, config.trusted_public_keys.clone()))
}

async fn server_keys(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    record: &CacheRecord,
    key_name: &str,
) -> Result<Vec<SigningKey>, SetupError> {
    let cache = || config.name.as_str().to_owned();
    let file_error = |source| SetupError::KeyFile { cache: cache(), source };
    if !config.signing_key_files.is_empty() {
        return read_key_files(&config.signing_key_files).map_err(file_error);
    }
    let file = key_file(&setup.config.server.state_dir, config.name.as_str());
    if !catalog.is_shared() {
        return Ok(vec![read_or_generate(&file, key_name).map_err(file_error)?]);
    }
    let sharing = KeySharing { catalog, sealer: setup.sealer, cache: record.id, file, name: key_name };
    let key = sharing.shared_key().await;
    Ok(vec![key.map_err(|source| SetupError::SharedKey { cache: cache(), source })?])
}

impl Cache {
    /// The text of `nix-cache-info`.
    pub fn nix_cache_info(&self) -> String {
        format!("StoreDir: {STORE_DIR}\nWantMassQuery: 1\nPriority: {}\n", self.config.priority)
    }

    /// Finds out whether a storage works and, if it does, sees to what has to be on it. Returns whether it has just become
    /// readable.
    pub async fn probe(&self, catalog: &Catalog, storage: &CacheStorage) -> bool {
        let revived = storage.probe().await;
        if revived {
            self.settle_in(catalog, storage).await;
        }
        revived
    }

    /// Makes a storage known by its marker and a binary cache by itself.
    async fn settle_in(&self, catalog: &Catalog, storage: &CacheStorage) {
        if let Some(marker) = storage.marker()
            && let Err(error) = catalog.set_storage_marker(storage.id, marker).await
        {
            tracing::warn!(cache = self.name(), %error, "could not remember a storage's marker");
        }
        let text = Bytes::from(self.nix_cache_info());
        let key = layout::nix_cache_info_key();
        if let Err(error) = storage.storage.put_bytes(&key, text, Durability::Now).await {
            tracing::warn!(cache = self.name(), %error, "could not write nix-cache-info");
        }
    }
}
