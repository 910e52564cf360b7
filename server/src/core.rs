//! What every part of the running daemon shares: the catalog, the caches, the configuration in force.
//!
//! Nothing here knows jobs, workers, listeners or HTTP; they are built on it.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use catalog::{Catalog, CatalogError};
use rustls::ClientConfig;
use tokio::sync::{Mutex, MutexGuard};

use crate::audit::Audit;
use crate::auth::{Tokens, count_void_tokens};
use crate::cache::setup::{Setup, SetupError, Shared, set_up};
use crate::cache::{Cache, Caches};
use crate::clock::Clock;
use crate::config::{CacheName, Config, SecretError};
use crate::deploy::Deploy;
use crate::federation::Federation;
use crate::ingest::Ingest;
use crate::nar_store::{Intents, Journal, NarStore};
use crate::origin::{node_url, without_port};
use crate::publish::Publisher;
use crate::sealing::Sealer;
use crate::server_key::fingerprint;
use crate::tls::{self, Tls, TlsError};
use crate::uploads::Uploads;

/// What every part of the running daemon shares.
pub struct Core {
    /// The database.
    pub catalog: Catalog,
    /// Judges whether the system clock can be trusted.
    pub clock: Clock,
    /// Records who changed what.
    pub audit: Audit,
    /// Certificates of the ports.
    pub tls: Arc<Tls>,
    /// Settings for HTTPS to others.
    pub https: ClientConfig,
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

/// Why what every part shares cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The password for the database cannot be read.
    #[error("server.database-password-file")]
    DatabasePassword(#[source] SecretError),
    /// The catalog failed.
    #[error("catalog")]
    Catalog(#[from] CatalogError),
    /// A cache could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A certificate cannot be used.
    #[error("tls")]
    Tls(#[from] TlsError),
    /// The audit log cannot be written.
    #[error("server.audit-log: {}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The notes of unfinished pushes cannot be kept.
    #[error("state directory {}", path.display())]
    Intents {
        /// The folder of the notes.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Records the server key that is in use, and says in the log if it made tokens void.
pub async fn note_server_key(catalog: &Catalog, key: &[u8]) -> Result<(), CatalogError> {
    let known = catalog.server_keys().await?;
    let fingerprint = fingerprint(key);
    catalog.note_server_key(&fingerprint).await?;
    if known.last().is_some_and(|last| last.fingerprint != fingerprint) {
        let void = count_void_tokens(&catalog.server_keys().await?, &catalog.tokens().await?);
        tracing::error!(
            void,
            fingerprint,
            "the server key is another one than before: tokens that were made with the earlier one are refused; if that is \
             not what you want, put the earlier key back and restart"
        );
    }
    Ok(())
}

impl Core {
    /// Opens everything and repairs what a crash left. `key` is the server's, `host` that of key names.
    pub async fn open(config: Config, key: &[u8], host: &str, shared: &Shared) -> Result<Self, OpenError> {
        let database = config.server.open_database().map_err(OpenError::DatabasePassword)?;
        let catalog = Catalog::open(database.expose()).await?;
        note_server_key(&catalog, key).await?;
        let clock = Clock::open(catalog.clone()).await?;
        let tls = Tls::open(config.tls_sources())?;
        let https = tls::trust(&config.server.trusted_authorities)?;
        let sealer = Sealer::derive(key);
        let setup = Setup { config: &config, host, sealer: &sealer, shared };
        let caches = set_up(&setup, &catalog, &Caches::default()).await?.take_effect(&catalog).await?;
        let path = config.server.state_dir.join("intents");
        let intents = Intents::open(path.clone()).map_err(|source| OpenError::Intents { path, source })?;
        let audit = Audit::open(config.server.audit_log.as_deref()).map_err(|source| {
            let path = config.server.audit_log.clone().unwrap_or_default();
            OpenError::Audit { path, source }
        })?;
        let node_url = node_url(&config.server);
        if catalog.is_shared() {
            tracing::info!(node_url, "other daemons that share the database reach this one at its node-url");
        }
        let publisher = Arc::new(Publisher::new(catalog.clone()));
        let journal = Journal::new(&config.server.state_dir, catalog.identity().await?);
        let nar_store = Arc::new(NarStore::new(catalog.clone(), intents, journal, publisher.clone()));
        let uploads = Arc::new(Uploads::new(&catalog, nar_store.clone(), &node_url));
        let ingest =
            Arc::new(Ingest::new(catalog.clone(), uploads.clone(), nar_store.clone(), publisher.clone()));
        nar_store.look_for_lost_paths(&caches).await?;
        uploads.clear_stale_upload_ownership().await;
        uploads.resume_spooled_uploads(&caches).await;
        nar_store.expire_copies_of_last_run().await?;
        nar_store.remove_leftovers(&caches, |cache, id| uploads.is_open(cache, id)).await;
        // What is due now was left by a previous run; it is unknown which of its files reached the disk.
        publisher.publish_again();
        let deploy = Arc::new(Deploy::open(catalog.clone(), &config, &caches).await?);
        let federation = Federation::new(
            &config.server,
            key,
            catalog.clone(),
            uploads.clone(),
            ingest.clone(),
            https.clone(),
        );
        Ok(Self {
            clock,
            audit,
            tls: Arc::new(tls),
            tokens: Tokens::load(catalog.clone(), key, &config, https.clone()).await?,
            https,
            deploy,
            uploads,
            ingest,
            nar_store,
            publisher,
            federation: Arc::new(federation),
            config: ArcSwap::from_pointee(config),
            caches: ArcSwap::from_pointee(caches),
            catalog,
            reloading: Mutex::default(),
        })
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

    /// Returns the name of the cache that a host name would stand for, whether there is such a cache or not. `None` if it can
    /// stand for none.
    pub fn cache_name_of_host(&self, host: &str) -> Option<String> {
        let host = without_port(host);
        let config = self.config.load();
        let own = config.server.public_url.as_ref().and_then(|url| url.host_str());
        if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) || host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let label = host.split_once('.')?.0.to_ascii_lowercase();
        label.parse::<CacheName>().is_ok().then_some(label)
    }
}
