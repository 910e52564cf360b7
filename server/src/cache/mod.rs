//! The domain: what a cache is, how paths get in, how they are found. No HTTP here.

pub mod contents;
pub mod copies;
pub mod crowding;
pub mod file_name;
pub mod index;
pub mod keys;
pub mod lookup;
pub mod narinfo;
pub mod nars;
mod path_set;
mod push_error;
mod recent;
pub mod rotation;
pub mod setup;
pub mod shared_key;
pub mod storages;
pub mod tiers;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use catalog::{CacheId, CacheRecord, Catalog, CatalogError, StorageId, StorageRecord};
use futures_util::TryStreamExt;
use nix_formats::PublicKey;
use parking_lot::RwLock;

use self::copies::CopyRate;
use self::crowding::Crowding;
use self::index::Index;
use self::keys::KeyRing;
use self::nars::Nars;
pub use self::push_error::{PushError, blocking};
use self::storages::{CacheStorage, Storages};
use self::tiers::Tiers;
use crate::chain::chain;
use crate::config::{Access, CacheConfig, Closures};
use crate::counters::cache::CacheCounters;

/// One cache at run time.
pub struct Cache {
    /// Its row in the catalog.
    pub id: CacheId,
    name: String,
    config: ArcSwap<CacheConfig>,
    storages: ArcSwap<Storages>,
    removed_storages: ArcSwap<Vec<StorageRecord>>,
    /// The paths it holds.
    pub index: Index,
    /// Its NAR files that were asked for lately.
    pub nars: Nars,
    /// The name of the key that clients expect: `NAME.HOST-1`.
    pub key_name: String,
    /// Held by a commit from signing to recording, and exclusively while keys or storages change, so that no path slips in
    /// that is signed with a key, or lies on a storage, that the cache has just ceased to have. No disk is waited for while it
    /// is held.
    pub reconfigure_lock: tokio::sync::RwLock<()>,
    keys: RwLock<Arc<KeyRing>>,
    /// What is counted of it.
    pub counters: CacheCounters,
    /// The last collection, if it was held back because it would have removed too much.
    pub held_collection: RwLock<Option<HeldCollection>>,
    /// Pushes that wait for room.
    pub crowding: Crowding,
    /// Whether its files have, or are to have, further copies.
    copied: AtomicBool,
    /// How fast further copies are made.
    pub copying: CopyRate,
    /// What is known of reads, if its files move between tiers.
    pub tiers: Tiers,
    /// Itself, for what goes on after a call.
    me: Weak<Self>,
}

/// A collection that nobody asked for and that removed nothing, as it would have removed too much of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldCollection {
    /// How many paths it would have removed.
    pub paths: u64,
    /// How many there were.
    pub of: u64,
}

impl Cache {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the configuration says about it at the moment.
    pub fn config(&self) -> Arc<CacheConfig> {
        self.config.load_full()
    }

    /// Its storages at the moment; at least one.
    pub fn storages(&self) -> Arc<Storages> {
        self.storages.load_full()
    }

    /// Storages that the configuration does not name any more. What lies there is hidden until it does.
    pub fn removed_storages(&self) -> Arc<Vec<StorageRecord>> {
        self.removed_storages.load_full()
    }

    /// Whether anyone may read it.
    pub fn is_public(&self) -> bool {
        self.config.load().access == Access::Public
    }

    /// Whether paths with an incomplete closure are hidden from readers.
    pub fn is_strict(&self) -> bool {
        self.config.load().closures == Closures::Strict
    }

    /// Closures have become incomplete: readers must not get the paths from memory, where these are to be hidden.
    pub fn forget_incomplete(&self) {
        if self.is_strict() {
            self.index.forget_replies();
        }
    }

    /// The keys it signs with and publishes at the moment.
    pub fn keys(&self) -> Arc<KeyRing> {
        self.keys.read().clone()
    }

    /// From now on the cache publishes only what `key`, registered by a client, signs.
    pub fn adopt_client_key(&self, key: PublicKey) {
        self.change_keys(|keys| keys.with_client_key(key));
    }

    /// Puts other keys in place. One that a client has registered meanwhile stays, as do the names that agents look for.
    fn replace_keys(&self, new: KeyRing) {
        self.change_keys(|keys| {
            let new = new.with_agent_names(keys.agent_names().to_vec());
            match keys.client() {
                Some(client) => new.with_client_key(client.clone()),
                None => new,
            }
        });
    }

    /// The name under which an agent that connects to `host` looks for signatures (protocol reference 7.6).
    pub fn agent_key_name(&self, host: &str) -> String {
        keys::name_for(self.name(), host)
    }

    /// Has every narinfo carry a signature for agents that connect to `host`. Returns the name under which they look for it.
    pub fn sign_for_agents_of(&self, host: &str) -> String {
        let name = self.agent_key_name(host);
        if self.keys().agent_names().contains(&name) {
            return name;
        }
        if self.keys().with_agent_name(&name).is_none() {
            tracing::warn!(
                cache = self.name,
                key = name,
                "agents connect to too many host names: nothing is signed \
                under the name that this one looks for until the daemon is restarted"
            );
        } else {
            self.change_keys(|keys| keys.with_agent_name(&name).unwrap_or_else(|| keys.clone()));
            tracing::info!(cache = self.name, key = name, "signing under the name that an agent looks for");
        }
        name
    }

    /// From now on the cache has these keys. Replies are rendered again, as they carry the earlier signatures.
    fn change_keys(&self, change: impl FnOnce(&KeyRing) -> KeyRing) {
        let mut keys = self.keys.write();
        *keys = Arc::new(change(&keys));
        drop(keys);
        self.index.forget_replies();
    }

    /// Whether what lies on this storage can be had, as far as is known.
    pub fn gives_from(&self, id: StorageId) -> bool {
        self.storages.load().get(id).is_some_and(|storage| !storage.liveness.is_lost())
    }

    /// Whether the cache still has this storage, as it is.
    pub fn has_storage(&self, storage: &Arc<CacheStorage>) -> bool {
        self.storages.load().get(storage.id).is_some_and(|current| Arc::ptr_eq(current, storage))
    }

    /// The storage with this row, unless it was taken out of the configuration.
    pub fn storage(&self, id: StorageId) -> Option<Arc<CacheStorage>> {
        self.storages.load().get(id).cloned()
    }

    /// Loads the index from the catalog while it is in use. What is pushed or hidden meanwhile stays so.
    pub async fn load_index(&self, catalog: &Catalog) -> Result<(), CatalogError> {
        let _loading = self.index.loading.lock().await;
        self.index.begin_reload();
        let mut hashes = std::pin::pin!(catalog.visible_path_hashes(self.id));
        while let Some(batch) = hashes.try_next().await? {
            batch.into_iter().for_each(|hash| self.index.insert_loaded(hash));
        }
        self.index.end_reload();
        self.nars.forget_all();
        Ok(())
    }
}

/// Pause before the index is loaded again, if the catalog failed.
const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// Loads the index while the cache is served. Until that is done, the catalog is asked for what the index lacks.
fn load_index_aside(cache: Arc<Cache>, catalog: Catalog) {
    tokio::spawn(async move {
        let begun = Instant::now();
        while let Err(error) = cache.load_index(&catalog).await {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not load which paths there are; trying again");
            tokio::time::sleep(LOAD_PAUSE).await;
        }
        let paths = cache.index.len();
        tracing::debug!(cache = cache.name(), paths, took = ?begun.elapsed(), "loaded which paths there are");
    });
}

/// The caches of this daemon by name.
#[derive(Default)]
pub struct Caches {
    by_name: HashMap<String, Arc<Cache>>,
    by_port: HashMap<u16, Arc<Cache>>,
    ordered: Vec<Arc<Cache>>,
    disabled: Vec<CacheRecord>,
    /// Caches that a reload took out of service. What was under way in them ends, and they may come back.
    retired: Vec<Arc<Cache>>,
}

impl Caches {
    /// The caches to serve, in the order of the configuration, those that are known but switched off or gone from the file,
    /// and those of the latter that were served before.
    pub fn new(ordered: Vec<Arc<Cache>>, disabled: Vec<CacheRecord>, retired: Vec<Arc<Cache>>) -> Self {
        let by_name = ordered.iter().map(|cache| (cache.name().to_owned(), cache.clone())).collect();
        let with_port = |cache: &Arc<Cache>| Some((cache.config.load().port?, cache.clone()));
        let by_port = ordered.iter().filter_map(with_port).collect();
        Self { by_name, by_port, ordered, disabled, retired }
    }

    /// The enabled cache of this name.
    pub fn find(&self, name: &str) -> Option<Arc<Cache>> {
        self.by_name.get(name).cloned()
    }

    /// The enabled cache with this port of its own.
    pub fn find_by_port(&self, port: u16) -> Option<Arc<Cache>> {
        self.by_port.get(&port).cloned()
    }

    /// The cache with this row, if it is served or was so since the start.
    fn find_by_id(&self, id: CacheId) -> Option<Arc<Cache>> {
        self.all().find(|cache| cache.id == id).cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Cache>> {
        self.ordered.iter().chain(&self.retired)
    }

    /// The caches that keep their data but are not served.
    pub fn disabled(&self) -> &[CacheRecord] {
        &self.disabled
    }

    /// The same caches, with nothing left in memory of what this one, which is not served, was when it was.
    pub fn without_retired(&self, id: CacheId) -> Self {
        let (gone, retired): (Vec<_>, Vec<_>) =
            self.retired.iter().cloned().partition(|cache| cache.id == id);
        // They hold on to its storages.
        gone.iter().for_each(|cache| cache.index.forget_replies());
        Self::new(self.ordered.clone(), self.disabled.clone(), retired)
    }

    /// The same caches, without this one, which is not served.
    pub fn without(&self, id: CacheId) -> Self {
        let Self { ordered, disabled, retired, .. } = self.without_retired(id);
        Self::new(ordered, disabled.into_iter().filter(|cache| cache.id != id).collect(), retired)
    }

    /// All enabled ones, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cache>> {
        self.ordered.iter()
    }
}
