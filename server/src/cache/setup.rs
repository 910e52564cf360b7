//! Builds the caches at start, and fits them to a changed configuration: catalog rows, storages, keys, and the index of
//! what is there.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use catalog::{
    CacheRecord, Catalog, CatalogError, DeclaredCache, DeclaredStorage, KeyOrigin, SigningKeyRecord,
    StorageRecord,
};
use futures_util::future::join_all;
use nar_storage::{DEFAULT_OPEN_FILES, Durability, Placement, ReadCache, StorageState, layout};
use nix_formats::{KeyError, STORE_DIR, SigningKey};
use tokio::time::timeout;

use super::copies;
use super::index::{Index, ReplyCache, reply_cache};
use super::keys::{self, KeyFileError, KeyRing, client_key, find_key_file, read_key_files, read_or_generate};
use super::nars::Nars;
use super::rotation::load_added;
use super::shared_key::{KeySharing, SharedKeyError, key_file};
use super::storages::{self, CacheStorage, OpenStorageError, Place, Storages};
use super::tiers::Tiers;
use super::{Cache, Caches, load_index_aside};
use crate::chain::chain;
use crate::config::{Access, CacheConfig, CacheName, Config, SigningMode};
use crate::counters::cache::CacheCounters;
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
    #[error("cache `{cache}`")]
    KeyFile {
        /// The cache.
        cache: String,
        /// What is wrong.
        source: KeyFileError,
    },
    /// The key that daemons share cannot be had.
    #[error("cache `{cache}`")]
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
    /// A generated key is gone, and the catalog knows that there was one.
    #[error(
        "cache `{cache}`: its signing key `{name}` is missing: put {} back from a backup; if it is lost for good, name a \
         new key with another name in `signing-key-file`",
        file.display()
    )]
    MissingKey {
        /// The cache.
        cache: String,
        /// The name of the key.
        name: String,
        /// Where the key should be.
        file: PathBuf,
    },
    /// A generated key is another one than the catalog knows under its name.
    #[error(
        "cache `{cache}`: {} holds another signing key than the catalog knows under the name `{name}`: the state directory \
         and the catalog do not belong together; restore both from one backup, or put the right key or database back",
        file.display()
    )]
    ForeignKey {
        /// The cache.
        cache: String,
        /// The name of the key.
        name: String,
        /// Where the other key is.
        file: PathBuf,
    },
    /// A key is to sign that was retired.
    #[error(
        "cache `{cache}`: the key `{name}` of its `signing-key-file` was retired: a new key needs a new name"
    )]
    RetiredKey {
        /// The cache.
        cache: String,
        /// The name of the key.
        name: String,
    },
    /// Its first key was retired, and the files of those that were added since are gone.
    #[error(
        "cache `{0}`: the files of all its signing keys in use are missing from `keys` in the state directory: put \
         one back, or name one in `signing-key-file`"
    )]
    NoKey(String),
    /// The secret of a storage cannot be had.
    #[error(transparent)]
    Storage(#[from] OpenStorageError),
    /// A key is malformed.
    #[error("cache `{cache}`")]
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
    /// What all caches share.
    pub shared: &'a Shared,
}

/// What all caches share, because it bounds memory and file descriptors of the process.
pub struct Shared {
    replies: Arc<ReplyCache>,
    reads: Arc<ReadCache>,
}

impl Shared {
    /// For rendered replies of at most `narinfo_memory` bytes.
    pub fn new(narinfo_memory: u64) -> Self {
        Self { replies: reply_cache(narinfo_memory), reads: ReadCache::new(open_files()) }
    }
}

/// Caches that are about to be served: whatever could fail has been done.
pub struct Plan {
    caches: Vec<Planned>,
    disabled: Vec<CacheRecord>,
    retired: Vec<Arc<Cache>>,
}

struct Planned {
    cache: Arc<Cache>,
    /// What replaces what it has. None for one that is new.
    apply_reload: Option<PreparedReload>,
    states: Vec<StorageState>,
    /// Storages that have just become readable.
    revived: Vec<Arc<CacheStorage>>,
    /// Whether other paths may be visible than are in its index.
    reindex: bool,
}

/// Reconciles the catalog with the configuration and prepares every enabled cache. Those of `before` stay the same
/// objects, so that whatever is under way in them goes on; they change when the plan is carried out.
pub async fn set_up(setup: &Setup<'_>, catalog: &Catalog, before: &Caches) -> Result<Plan, SetupError> {
    let config = setup.config;
    let Reconciled { records, rows } = reconcile(config, catalog).await?;
    let mut caches = Vec::new();
    for cache in config.caches.iter().filter(|cache| cache.enabled) {
        let Some(record) = find(&records, cache) else { continue };
        let known = before.find_by_id(record.id);
        let mut planned = prepare(setup, catalog, cache, record, &rows, known).await?;
        planned.reindex |= before.retired.iter().any(|retired| retired.id == record.id);
        caches.push(planned);
    }
    let is_kept = |cache: &Arc<Cache>| caches.iter().any(|planned: &Planned| planned.cache.id == cache.id);
    let retired = before.all().filter(|cache| !is_kept(cache)).cloned().collect();
    let disabled = records.into_iter().filter(|record| !record.enabled).collect();
    Ok(Plan { caches, disabled, retired })
}

/// The rows of caches and storages, also of those that the configuration does not name.
pub struct Reconciled {
    records: Vec<CacheRecord>,
    rows: Vec<StorageRecord>,
}

/// Makes the catalog agree with the configuration.
pub async fn reconcile(config: &Config, catalog: &Catalog) -> Result<Reconciled, CatalogError> {
    let declared: Vec<DeclaredCache> = config.caches.iter().map(declare).collect();
    let records = catalog.reconcile_caches(&declared).await?;
    let mut storages = Vec::new();
    for cache in &config.caches {
        let Some(record) = find(&records, cache) else { continue };
        storages.extend(cache.storages.iter().map(|storage| DeclaredStorage {
            cache: record.id,
            name: storage.name.as_str().to_owned(),
            kind: storage.kind.storage_type().as_str().to_owned(),
            location: storages::location(cache.name.as_str(), &storage.kind),
        }));
    }
    let rows = catalog.reconcile_storages(&storages).await?;
    Ok(Reconciled { records, rows })
}

impl Plan {
    /// Carries it out.
    pub async fn take_effect(self, catalog: &Catalog) -> Result<Caches, CatalogError> {
        let mut caches = Vec::with_capacity(self.caches.len());
        for planned in self.caches {
            let cache = planned.cache;
            if let Some(apply_reload) = planned.apply_reload {
                cache.apply_reload(apply_reload).await;
            }
            cache.storages().take_effect(planned.states);
            for storage in &planned.revived {
                cache.settle_in(catalog, storage).await;
            }
            if planned.reindex {
                cache.load_index(catalog).await?;
            }
            caches.push(cache);
        }
        Ok(Caches::new(caches, self.disabled, self.retired))
    }
}

/// Looks at every storage once, all at the same time. One that fails now may work later, so the daemon goes on without it.
/// Returns those that can be read.
async fn probe_all(storages: &[Arc<CacheStorage>]) -> Vec<Arc<CacheStorage>> {
    let probes = storages.iter().map(|storage| async move {
        match timeout(START_PROBE, storage.probe()).await {
            Ok(revived) => revived.then(|| storage.clone()),
            Err(_) => {
                storage.did_not_answer();
                None
            }
        }
    });
    join_all(probes).await.into_iter().flatten().collect()
}

/// How many NARs are kept open: a quarter of what the process may open, most of which is for connections.
fn open_files() -> usize {
    use rustix::process::{Resource, getrlimit};
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(allowed / 4).unwrap_or(usize::MAX).clamp(DEFAULT_OPEN_FILES / 4, MOST_OPEN_FILES)
}

/// What a reload changes in a cache that is being served.
struct PreparedReload {
    config: CacheConfig,
    storages: Storages,
    /// Whether they are others, or in another order.
    storages_change: bool,
    former: Vec<StorageRecord>,
    keys: KeyRing,
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

async fn prepare(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    record: &CacheRecord,
    rows: &[StorageRecord],
    known: Option<Arc<Cache>>,
) -> Result<Planned, SetupError> {
    let key_name = keys::name_for(config.name.as_str(), setup.host);
    let keys = load_keys(setup, catalog, config, record, &key_name).await?;
    let storages = prepare_storages(setup, catalog, config, record, rows, known.as_deref()).await?;
    let former = removed_storages(record, rows);
    let PreparedStorages { storages, states, opened } = storages;
    let revived = probe_all(&opened).await;
    let Some(cache) = known else {
        let is_copied = copies::are_wanted(config) || catalog.has_copies(record.id).await?;
        let new = |me: &Weak<Cache>| Cache {
            id: record.id,
            name: config.name.as_str().to_owned(),
            config: ArcSwap::from_pointee(config.clone()),
            storages: ArcSwap::from_pointee(storages),
            removed_storages: ArcSwap::from_pointee(former),
            index: Index::new(record.id, setup.shared.replies.clone()),
            nars: Nars::default(),
            key_name,
            reconfigure_lock: tokio::sync::RwLock::new(()),
            keys: parking_lot::RwLock::new(Arc::new(keys)),
            counters: CacheCounters::default(),
            held_collection: parking_lot::RwLock::default(),
            crowding: super::crowding::Crowding::default(),
            copied: AtomicBool::new(is_copied),
            copying: super::copies::CopyRate::default(),
            tiers: Tiers::new(config),
            me: me.clone(),
        };
        let cache = Arc::new_cyclic(new);
        // Other nodes are told what there is, and other daemons what changes: neither must be told of a part of it.
        if setup.config.server.standalone && !catalog.is_shared() {
            load_index_aside(cache.clone(), catalog.clone());
        } else {
            cache.load_index(catalog).await?;
        }
        return Ok(Planned { cache, apply_reload: None, states, revived, reindex: false });
    };
    let listed = |storages: &Storages| storages.iter().map(Arc::as_ptr).collect::<Vec<_>>();
    let reindex = listed(&cache.storages()) != listed(&storages);
    let revived = if cache.config().priority == config.priority {
        revived
    } else {
        // Their nix-cache-info has to say so.
        storages.iter().filter(|storage| !storage.liveness.is_lost()).cloned().collect()
    };
    let apply_reload =
        PreparedReload { config: config.clone(), storages, storages_change: reindex, former, keys };
    Ok(Planned { cache, apply_reload: Some(apply_reload), states, revived, reindex })
}

fn removed_storages(cache: &CacheRecord, rows: &[StorageRecord]) -> Vec<StorageRecord> {
    rows.iter().filter(|row| row.cache == cache.id && !row.enabled).cloned().collect()
}

struct PreparedStorages {
    storages: Storages,
    states: Vec<StorageState>,
    /// Those that were not there before.
    opened: Vec<Arc<CacheStorage>>,
}

async fn prepare_storages(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    record: &CacheRecord,
    rows: &[StorageRecord],
    known: Option<&Cache>,
) -> Result<PreparedStorages, SetupError> {
    let mut found = Vec::new();
    let mut states = Vec::new();
    for storage in &config.storages {
        let row = rows.iter().find(|row| row.cache == record.id && row.name == storage.name.as_str());
        let Some(row) = row else { continue };
        states.push(StorageState {
            name: storage.name.as_str().into(),
            share: storage.split.unwrap_or(0),
            tier: storage.tier,
            max_size: storage.max_size,
            draining: storage.draining,
            used: catalog.storage_used(row.id).await?,
            by_products: catalog.by_product_bytes(row.id).await?,
        });
        found.push((storage, row));
    }
    let before = known.map(Cache::storages);
    let placement = match &before {
        Some(before) => before.placement().clone(),
        None => {
            // What cannot be read is as good as none: the turns begin anew.
            let turns = record.turns.parse().unwrap_or_default();
            Placement::new(config.storage_strategy.into(), states.clone(), &turns)
        }
    };
    let mut list = Vec::new();
    let mut opened = Vec::new();
    for (storage, row) in found {
        let known = before.as_ref().and_then(|before| before.get(row.id));
        let listed = match known {
            Some(known) if known.backend().is_at(&storage.kind) => {
                known.backend().set_private(config.access == Access::Private);
                known.clone()
            }
            former => {
                let place = Place { state_dir: &setup.config.server.state_dir, reads: &setup.shared.reads };
                let former = former.map(|former| former.backend());
                let backend =
                    storages::open(row.id, config, storage, row.marker.clone(), &place, former).await?;
                let new = Arc::new(CacheStorage::new(backend, placement.clone()));
                opened.push(new.clone());
                new
            }
        };
        list.push(listed);
    }
    let storages = Storages::new(config, placement, list);
    Ok(PreparedStorages { storages, states, opened })
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
    let known = catalog.signing_keys(record.id).await?;
    let client = client_key(&known).map_err(key_error)?;
    let mut server = match (&client, config.signing) {
        // A server key beside a client's would be published under a name of its own and mean nothing to readers.
        (Some(_), _) | (None, SigningMode::Client) => Vec::new(),
        _ => server_keys(setup, catalog, config, (record, &known), key_name).await?,
    };
    let is_configured = !config.signing_key_files.is_empty();
    let signs = !server.is_empty();
    for key in server.clone().iter().map(SigningKey::public_key) {
        let added = catalog.add_server_key(record.id, key.name(), *key.as_bytes()).await;
        let published = added.map_err(|error| match error {
            CatalogError::KeyNameTaken { name, .. } if is_configured => {
                SetupError::OtherKey { cache: cache.to_owned(), name }
            }
            error => error.into(),
        })?;
        if published.retired_at.is_some() {
            if is_configured {
                return Err(SetupError::RetiredKey { cache: cache.to_owned(), name: published.name });
            }
            server.retain(|other| other.public_key() != key);
        }
    }
    let mut keys = KeyRing::new(config.signing, server, client, config.trusted_public_keys.clone())
        .with_agent_names(vec![key_name.to_owned()]);
    if signs && !is_configured {
        let added = load_added(&known, &setup.config.server.state_dir, cache);
        for key in added.map_err(|source| SetupError::KeyFile { cache: cache.to_owned(), source })? {
            keys = keys.with_added(key);
        }
        if keys.published().is_empty() {
            return Err(SetupError::NoKey(cache.to_owned()));
        }
    }
    Ok(keys)
}

async fn server_keys(
    setup: &Setup<'_>,
    catalog: &Catalog,
    config: &CacheConfig,
    (record, known): (&CacheRecord, &[SigningKeyRecord]),
    key_name: &str,
) -> Result<Vec<SigningKey>, SetupError> {
    let cache = || config.name.as_str().to_owned();
    let file_error = |source| SetupError::KeyFile { cache: cache(), source };
    if !config.signing_key_files.is_empty() {
        return read_key_files(&config.signing_key_files).map_err(file_error);
    }
    let file = key_file(&setup.config.server.state_dir, config.name.as_str());
    if !catalog.is_shared() {
        check_key_file(&config.name, known, key_name, &file)?;
        return Ok(vec![read_or_generate(&file, key_name).map_err(file_error)?]);
    }
    let sharing = KeySharing { catalog, sealer: setup.sealer, cache: record.id, file, name: key_name };
    let key = sharing.shared_key().await;
    Ok(vec![key.map_err(|source| SetupError::SharedKey { cache: cache(), source })?])
}

/// Fails if the key file is not the one of the key that the catalog knows, so that no other key takes its place.
fn check_key_file(
    cache: &CacheName,
    known: &[SigningKeyRecord],
    name: &str,
    file: &Path,
) -> Result<(), SetupError> {
    let is_in_use = |key: &&SigningKeyRecord| {
        key.origin == KeyOrigin::Server && key.retired_at.is_none() && key.name == name
    };
    let Some(known) = known.iter().find(is_in_use) else { return Ok(()) };
    let (cache, name, path) = (cache.as_str().to_owned(), name.to_owned(), file.to_owned());
    match find_key_file(file) {
        Ok(None) => Err(SetupError::MissingKey { cache, name, file: path }),
        Ok(Some(key)) if *key.public_key().as_bytes() != known.public_key => {
            Err(SetupError::ForeignKey { cache, name, file: path })
        }
        Ok(Some(_)) => Ok(()),
        Err(source) => Err(SetupError::KeyFile { cache, source }),
    }
}

impl Cache {
    /// The text of `nix-cache-info`.
    pub fn nix_cache_info(&self) -> String {
        format!("StoreDir: {STORE_DIR}\nWantMassQuery: 1\nPriority: {}\n", self.config().priority)
    }

    /// Takes over what a reload has prepared.
    async fn apply_reload(&self, apply_reload: PreparedReload) {
        let keys_change = self.keys().published() != apply_reload.keys.published();
        // Commits that are being recorded end first.
        let _changing = match keys_change || apply_reload.storages_change {
            true => Some(self.reconfigure_lock.write().await),
            false => None,
        };
        self.replace_keys(apply_reload.keys);
        for (storage, config) in apply_reload.storages.iter().zip(&apply_reload.config.storages) {
            storage.set_config(config.clone());
        }
        if copies::are_wanted(&apply_reload.config) {
            self.expect_copies();
        }
        self.tiers.set_config(&apply_reload.config);
        let is_stricter = apply_reload.config.closures != self.config.load().closures;
        self.config.store(Arc::new(apply_reload.config));
        if is_stricter {
            self.index.forget_replies();
        }
        self.storages.store(Arc::new(apply_reload.storages));
        // The order in which copies are read may be another one.
        self.nars.forget_all();
        self.removed_storages.store(Arc::new(apply_reload.former));
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
            tracing::warn!(cache = self.name(), error = %chain(&error), "could not remember a storage's marker");
        }
        let text = Bytes::from(self.nix_cache_info());
        let key = layout::nix_cache_info_key();
        if let Err(error) = storage.storage.put_bytes(&key, text, Durability::Now).await {
            tracing::warn!(cache = self.name(), error = %chain(&error), "could not write nix-cache-info");
        }
        if let Err(error) = storage.compare_note(catalog, self.has_copies()).await {
            tracing::warn!(cache = self.name(), error = %chain(&error), "could not compare a storage with the catalog yet");
        }
    }
}
