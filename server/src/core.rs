//! What every part of the running daemon shares: the catalog, the caches, the configuration in force.
//!
//! Nothing here knows jobs, workers, listeners or HTTP; they are built on it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use catalog::Catalog;
use tokio::sync::{Mutex, MutexGuard};

use crate::auth::Tokens;
use crate::cache::{Cache, Caches};
use crate::clock::Clock;
use crate::config::Config;
use crate::deploy::Deploy;
use crate::federation::Federation;
use crate::ingest::Ingest;
use crate::nar_store::NarStore;
use crate::origin::without_port;
use crate::publish::Publisher;
use crate::uploads::Uploads;

/// What every part of the running daemon shares.
pub struct Core {
    /// The database.
    pub catalog: Catalog,
    /// Judges whether the system clock can be trusted.
    pub clock: Clock,
    /// Issues and verifies tokens.
    pub tokens: Tokens,
    /// Workspaces, agents and deployments.
    pub deploy: Arc<Deploy>,
    /// Receives what clients upload.
    pub uploads: Arc<Uploads>,
    /// Turns uploads into paths.
    pub ingest: Arc<Ingest>,
    /// Stores, moves and removes NAR files.
    pub nar_store: Arc<NarStore>,
    /// Writes the files beside the NARs.
    pub publisher: Arc<Publisher>,
    /// Finds paths on other nodes and upstreams, and announces ours.
    pub federation: Arc<Federation>,
    config: ArcSwap<Config>,
    caches: ArcSwap<Caches>,
    /// Held while the configuration is reloaded.
    reloading: Mutex<()>,
}

/// The parts that a [`Core`] is made of.
pub struct Parts {
    /// See [`Core::catalog`].
    pub catalog: Catalog,
    /// See [`Core::clock`].
    pub clock: Clock,
    /// See [`Core::tokens`].
    pub tokens: Tokens,
    /// See [`Core::deploy`].
    pub deploy: Arc<Deploy>,
    /// See [`Core::uploads`].
    pub uploads: Arc<Uploads>,
    /// See [`Core::ingest`].
    pub ingest: Arc<Ingest>,
    /// See [`Core::nar_store`].
    pub nar_store: Arc<NarStore>,
    /// See [`Core::publisher`].
    pub publisher: Arc<Publisher>,
    /// See [`Core::federation`].
    pub federation: Arc<Federation>,
    /// The configuration that the daemon starts with.
    pub config: Config,
    /// The caches of that configuration.
    pub caches: Caches,
}

impl Core {
    /// Assembles the core.
    pub fn new(parts: Parts) -> Self {
        let Parts { catalog, clock, tokens, deploy, federation, config, caches, .. } = parts;
        Self {
            catalog,
            clock,
            tokens,
            deploy,
            uploads: parts.uploads,
            ingest: parts.ingest,
            nar_store: parts.nar_store,
            publisher: parts.publisher,
            federation,
            config: ArcSwap::from_pointee(config),
            caches: ArcSwap::from_pointee(caches),
            reloading: Mutex::default(),
        }
    }

    /// Returns the configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Replaces the configuration. Only a reload does this.
    pub fn set_config(&self, config: Config) {
        self.config.store(Arc::new(config));
    }

    /// Returns the enabled caches.
    pub fn caches(&self) -> Arc<Caches> {
        self.caches.load_full()
    }

    /// Replaces the caches and tells federation, which serves and announces them.
    pub fn set_caches(&self, caches: Caches) {
        let caches = Arc::new(caches);
        self.caches.store(caches.clone());
        self.federation.set_caches(caches);
    }

    /// Removes what crashes and failures left on the storages.
    pub async fn remove_leftovers(&self) {
        let is_open = |cache, id| self.uploads.is_open(cache, id);
        self.nar_store.remove_leftovers(&self.caches(), is_open).await;
    }

    /// Waits until no reload runs. None begins while the guard is held.
    pub async fn block_reloads(&self) -> MutexGuard<'_, ()> {
        self.reloading.lock().await
    }

    /// Returns the cache named in the API, as in `/api/v1/cache/NAME`.
    pub fn find_cache(&self, name: &str) -> Option<Arc<Cache>> {
        self.caches.load().find(name)
    }

    /// Returns the cache that has `port` to itself.
    pub fn find_cache_by_port(&self, port: u16) -> Option<Arc<Cache>> {
        self.caches.load().find_by_port(port)
    }

    /// Returns the cache that a host name stands for: the one named by its first label, unless the host is the server's own.
    pub fn find_cache_by_host(&self, host: &str) -> Option<Arc<Cache>> {
        let host = without_port(host);
        let config = self.config.load();
        let own = config.server.public_url.as_ref().and_then(|url| url.host_str());
        if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
            return None;
        }
        let (label, _) = host.split_once('.')?;
        if label.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_cache(&label.to_ascii_lowercase());
        }
        self.find_cache(label)
    }
}
