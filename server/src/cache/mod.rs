//! The domain: what a cache is, how paths get in, how they are found. No HTTP here.

pub mod contents;
mod file_name;
pub mod index;
pub mod keys;
pub mod lookup;
pub mod nars;
pub mod publish;
pub mod push;
pub mod setup;
pub mod shared_key;
pub mod storages;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use catalog::{CacheId, CacheRecord, StorageId, StorageRecord};
use nix_formats::PublicKey;

use self::index::Index;
use self::keys::KeyRing;
use self::nars::Nars;
use self::storages::{CacheStorage, Storages};
use crate::config::{Access, CacheConfig};

/// One cache at run time.
pub struct Cache {
    /// Its row in the catalog.
    pub id: CacheId,
    /// What the configuration says about it.
    pub config: CacheConfig,
    /// Its storages; at least one.
    pub storages: Storages,
    /// Storages that the configuration does not name any more. What lies there is hidden until it does.
    pub former_storages: Vec<StorageRecord>,
    /// The paths it holds.
    pub index: Index,
    /// Its NAR files that were asked for lately.
    pub nars: Nars,
    /// The name of the key that clients expect: `NAME.HOST-1`.
    pub key_name: String,
    /// Held by a commit from signing to recording, and exclusively while the keys change, so that no path signed with
    /// one key slips into a cache that another one was just registered for.
    pub keys_in_use: tokio::sync::RwLock<()>,
    keys: RwLock<Arc<KeyRing>>,
}

impl Cache {
    /// Its name.
    pub fn name(&self) -> &str {
        self.config.name.as_str()
    }

    /// Whether anyone may read it.
    pub fn is_public(&self) -> bool {
        self.config.access == Access::Public
    }

    /// The keys it signs with and publishes at the moment.
    pub fn keys(&self) -> Arc<KeyRing> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on the cache publishes only what `key`, registered by a client, signs.
    pub fn adopt_client_key(&self, key: PublicKey) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = Arc::new(keys.with_client_key(key));
    }

    /// Whether what lies on this storage can be had, as far as is known.
    pub fn gives_from(&self, id: StorageId) -> bool {
        self.storages.get(id).is_some_and(|storage| !storage.reach.is_lost())
    }

    /// The storage with this row, unless it was taken out of the configuration.
    pub fn storage(&self, id: StorageId) -> Option<&Arc<CacheStorage>> {
        self.storages.get(id)
    }
}

/// The caches of this daemon by name.
#[derive(Default)]
pub struct Caches {
    by_name: HashMap<String, Arc<Cache>>,
    ordered: Vec<Arc<Cache>>,
    disabled: Vec<CacheRecord>,
}

impl Caches {
    /// These caches, in the order of the configuration, and those that are known but switched off or gone from the file.
    pub fn new(ordered: Vec<Arc<Cache>>, disabled: Vec<CacheRecord>) -> Self {
        let by_name = ordered.iter().map(|cache| (cache.name().to_owned(), cache.clone())).collect();
        Self { by_name, ordered, disabled }
    }

    /// The enabled cache of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Cache>> {
        self.by_name.get(name)
    }

    /// The caches that keep their data but are not served.
    pub fn disabled(&self) -> &[CacheRecord] {
        &self.disabled
    }

    /// All enabled ones, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cache>> {
        self.ordered.iter()
    }
}
