//! Changing the configuration while the daemon runs (SIGHUP, `cachectl reload`).
//!
//! Everything that can be wrong with the new configuration is found out before anything changes. What takes a restart keeps
//! its value and is named. Caches stay the same objects, so that uploads and downloads that are under way go on.

mod differences;
mod losses;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin_api::Reloaded;
use catalog::CatalogError;
use futures_util::future::join_all;
use nar_storage::Health;
use parking_lot::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::cache::keys::{KeyFileError, read_key_files};
use crate::cache::setup::{Setup, SetupError, Shared, reconcile, set_up};
use crate::cache::storages::{CacheStorage, OpenStorageError, check_secrets};
use crate::cache::{Cache, Caches};
use crate::chain::chain;
use crate::config::{
    self, Access, Config, Environment, Faults, Loaded, LogConfig, Secret, SecretError, ServerConfig,
};
use crate::core::{Core, note_server_key};
use crate::federation::keyring;
use crate::listeners::{ListenError, Listeners};
use crate::sealing::Sealer;
use crate::server_key::ServerKeyError;
use crate::tls::{Tls, TlsError};
use crate::workers::Workers;
use crate::{server_key, systemd, workers};

/// How long a storage that cannot be used yet is tried at the end of a reload, and the pause in between.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Tells the log what to write from now on: the directives of `server.log.filter`.
pub type LogControl = Box<dyn Fn(&LogConfig) + Send + Sync>;

/// Tells what derives keys from the server key that there is another one.
pub type KeyControl = Box<dyn Fn(&[u8], &ServerConfig) + Send + Sync>;

/// What a reload changes from outside the daemon's core.
pub struct Controls {
    /// See [`LogControl`].
    pub logging: LogControl,
    /// See [`KeyControl`].
    pub key: KeyControl,
}

/// Changes the configuration of the running daemon.
pub struct Reloader {
    core: Arc<Core>,
    workers: Arc<Workers>,
    listeners: Arc<Listeners>,
    shared: Shared,
    host: String,
    key: Mutex<Arc<Zeroizing<String>>>,
    /// The text of the file as it was read last, to notice one that was cut off.
    text: Mutex<Option<Secret>>,
    controls: Controls,
}

/// What the daemon was started with.
pub struct Started {
    /// What the caches share.
    pub shared: Shared,
    /// `HOST` of key names.
    pub host: String,
    /// The server key.
    pub key: Zeroizing<String>,
    /// The text of the configuration file, if there is one.
    pub text: Option<Secret>,
}

impl Reloader {
    /// A reloader for what was `started`.
    pub fn new(
        core: Arc<Core>,
        workers: Arc<Workers>,
        listeners: Arc<Listeners>,
        started: Started,
        controls: Controls,
    ) -> Self {
        let Started { shared, host, key, text } = started;
        let (key, text) = (Mutex::new(Arc::new(key)), Mutex::new(text));
        Self { core, workers, listeners, shared, host, key, text, controls }
    }

    fn text(&self) -> Option<Secret> {
        self.text.lock().clone()
    }

    /// The server key that is in use.
    pub fn key(&self) -> Arc<Zeroizing<String>> {
        self.key.lock().clone()
    }
}

/// Why the configuration was not reloaded. Nothing has changed, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The daemon runs on its built-in configuration.
    #[error("the daemon was started without a configuration file")]
    NoFile,
    /// The file is wrong.
    #[error("{0}")]
    Faulty(Faults),
    /// The file lacks what is in service, as one does that was cut off.
    #[error("{0}")]
    Incomplete(Faults),
    /// The server key cannot be read.
    #[error(transparent)]
    ServerKey(#[from] ServerKeyError),
    /// A new port cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A certificate cannot be used.
    #[error("tls")]
    Tls(#[from] TlsError),
    /// A signing key of a cache cannot be read.
    #[error("cache `{cache}`")]
    Key {
        /// The cache.
        cache: String,
        /// What is wrong.
        source: KeyFileError,
    },
    /// A key of the network cannot be read.
    #[error("server.dht-network-key-file: {0}")]
    NetworkKey(SecretError),
    /// A secret of a storage cannot be read.
    #[error(transparent)]
    Storage(#[from] OpenStorageError),
    /// The caches cannot be what the file wants them to be.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The catalog failed after the configuration had taken effect.
    #[error("it has taken effect in part, reload once more: {0}")]
    InPart(CatalogError),
    /// A thread of ours ended early.
    #[error("reading the configuration was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl ReloadError {
    /// Whether the operator has to change something, rather than to try again.
    pub fn is_of_the_file(&self) -> bool {
        match self {
            Self::NoFile | Self::InPart(_) | Self::Interrupted(_) => false,
            Self::Setup(SetupError::Catalog(_)) => false,
            Self::Faulty(_) | Self::Incomplete(_) | Self::ServerKey(_) | Self::Listen(_) => true,
            Self::Key { .. } | Self::NetworkKey(_) | Self::Tls(_) => true,
            Self::Storage(_) | Self::Setup(_) => true,
        }
    }
}

/// Reads the configuration file again and puts into force what has changed in it.
pub async fn reload(reloader: &Reloader) -> Result<Reloaded, ReloadError> {
    let _one_at_a_time = reloader.core.block_reloads().await;
    systemd::notify_reloading();
    let result = replace_config(reloader).await;
    systemd::notify_ready(&reloader.listeners.summary());
    match &result {
        Ok(Reloaded { changes, needs_restart, warnings }) => {
            tracing::info!(changes = changes.len(), "the configuration was reloaded");
            warnings.iter().for_each(|warning| tracing::warn!(warning, "the configuration"));
            changes.iter().for_each(|change| tracing::info!(change, "changed"));
            needs_restart.iter().for_each(|change| tracing::warn!(change, "not changed before a restart"));
        }
        Err(error) => tracing::error!(error = %chain(error), "the configuration was not reloaded"),
    }
    result
}

async fn replace_config(reloader: &Reloader) -> Result<Reloaded, ReloadError> {
    let core = &reloader.core;
    let before = core.config();
    let path = before.source.clone().ok_or(ReloadError::NoFile)?;
    let known = Known {
        config: before.clone(),
        private: private_caches(&before, &core.caches()),
        key: reloader.key(),
        text: reloader.text(),
    };
    let reading = tokio::task::spawn_blocking(move || read(&path, &known));
    let File { loaded: Loaded { mut config, warnings, text, .. }, wanted, key } = reading.await??;
    let warnings = warnings.iter().map(ToString::to_string).collect();
    config.server = before.server.after_reload(&config.server);

    let mut rotated = *key != **reloader.key();
    if rotated && core.catalog.is_shared() {
        // Whatever the daemons have sealed for each other would be lost.
        config.server.key = before.server.key.clone();
        rotated = false;
    }
    let key = if rotated { Arc::new(key) } else { reloader.key() };
    let network_keys = keyring(&config.server, key.as_bytes()).map_err(ReloadError::NetworkKey)?;
    let sources = config.tls_sources();
    let certificates = tokio::task::spawn_blocking(move || Tls::prepare(sources)).await??;
    let bound = reloader.listeners.bind_new(&config).await?;
    let sealer = Sealer::derive(key.as_bytes());
    let setup = Setup { config: &config, host: &reloader.host, sealer: &sealer, shared: &reloader.shared };
    let listed_before = Addresses::of(&core.caches());
    let plan = match set_up(&setup, &core.catalog, &core.caches()).await {
        Ok(plan) => plan,
        Err(error) => {
            if let Err(error) = reconcile(&before, &core.catalog).await {
                tracing::error!(error = %chain(&error), "could not take back in the catalog what was not reloaded");
            }
            return Err(error.into());
        }
    };
    let caches = plan.take_effect(&core.catalog).await.map_err(ReloadError::InPart)?;
    core.set_caches(caches);
    core.federation.set_network_keys(network_keys);
    core.tls.apply(certificates);
    core.tokens.apply_reload(&config);
    reloader.listeners.apply_reload(&config, bound);
    if rotated {
        core.tokens.replace_key(key.as_bytes());
        core.federation.replace_key(key.as_bytes());
        (reloader.controls.key)(key.as_bytes(), &config.server);
        note_server_key(&core.catalog, key.as_bytes()).await.map_err(ReloadError::InPart)?;
        *reloader.key.lock() = key;
    }
    *reloader.text.lock() = Some(text);
    (reloader.controls.logging)(&config.server.log);
    let mut changes = differences::between(&before, &config);
    if rotated {
        changes.push("server.key: tokens made with the old one are void".to_owned());
    }
    let needs_restart = differences::between(&config, &wanted);
    let deploy = core.deploy.reconcile(&config, &core.caches()).await;
    core.set_config(config);
    workers::apply_reload(core, &reloader.workers);
    deploy.map_err(ReloadError::InPart)?;
    // A service that does not answer is left to the probes.
    let _ = timeout(PATIENCE, wait_for_moved_storages(core, &listed_before)).await;
    // Files of unfinished work may lie on a storage that is back.
    core.publisher.publish_again();
    core.remove_leftovers().await;
    Ok(Reloaded { changes, needs_restart, warnings })
}

/// The private caches of the configuration, and those that it no longer has.
fn private_caches(config: &Config, caches: &Caches) -> Vec<String> {
    let configured = config.caches.iter().filter(|cache| cache.access == Access::Private);
    let disabled = caches.disabled().iter().filter(|record| !record.public);
    let names =
        configured.map(|cache| cache.name.as_str()).chain(disabled.map(|record| record.name.as_str()));
    names.map(str::to_owned).collect()
}

/// Every storage of every cache.
fn storages(caches: &Caches) -> Vec<(Arc<Cache>, Arc<CacheStorage>)> {
    let of_cache = |cache: &Arc<Cache>| {
        cache.storages().iter().map(|storage| (cache.clone(), storage.clone())).collect::<Vec<_>>()
    };
    caches.iter().flat_map(of_cache).collect()
}

/// Which storages there were, without keeping them.
struct Addresses(Vec<usize>);

impl Addresses {
    fn of(caches: &Caches) -> Self {
        Self(storages(caches).iter().map(|(_, storage)| Arc::as_ptr(storage).addr()).collect())
    }

    fn has(&self, storage: &Arc<CacheStorage>) -> bool {
        self.0.contains(&Arc::as_ptr(storage).addr())
    }
}

/// A storage whose root has moved is locked as long as somebody uses it under its old path. Waits a moment for that to end,
/// so that it is found to work right away.
async fn wait_for_moved_storages(core: &Core, before: &Addresses) {
    loop {
        let lost: Vec<_> = storages(&core.caches())
            .into_iter()
            .filter(|(_, storage)| !before.has(storage) && storage.condition().health == Health::Failing)
            .collect();
        if lost.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        join_all(lost.iter().map(|(cache, storage)| cache.probe(&core.catalog, storage))).await;
    }
}

/// What is in force.
struct Known {
    config: Arc<Config>,
    /// The names of private caches, those included that are not served at the moment.
    private: Vec<String>,
    key: Arc<Zeroizing<String>>,
    /// The text of its file.
    text: Option<Secret>,
}

/// What the configuration file says now.
struct File {
    loaded: Loaded,
    /// The same for a daemon that is started with it.
    wanted: Config,
    /// The server key that it gives.
    key: Zeroizing<String>,
}

/// Reads the file, and makes sure that every secret it names can be read and that nothing is lost with it.
fn read(path: &Path, known: &Known) -> Result<File, ReloadError> {
    let before = &known.config;
    let state_dir = &before.server.state_dir;
    let (loaded, wanted) =
        config::load_again(path, &Environment::of_process(), state_dir).map_err(ReloadError::Faulty)?;
    losses::refuse_of_text(known.text.as_ref(), &loaded).map_err(ReloadError::Incomplete)?;
    losses::refuse_of_access(&known.private, &loaded).map_err(ReloadError::Incomplete)?;
    losses::refuse_of_caches(before, &loaded).map_err(ReloadError::Incomplete)?;
    losses::refuse_of_key(before, &loaded).map_err(ReloadError::Incomplete)?;
    let config = &loaded.config;
    let key = server_key::load_or_generate(&config.server.key, state_dir)?;
    losses::refuse_of_key_text(&known.key, &key, &loaded).map_err(ReloadError::Incomplete)?;
    for cache in config.caches.iter().filter(|cache| cache.enabled) {
        read_key_files(&cache.signing_key_files)
            .map_err(|source| ReloadError::Key { cache: cache.name.as_str().to_owned(), source })?;
        check_secrets(cache)?;
    }
    Ok(File { loaded, wanted, key })
}

/// The hint for a person whose reload failed.
pub fn advice(error: &ReloadError) -> Option<String> {
    let text = match error {
        ReloadError::NoFile => "write one, and restart the daemon with --config FILE",
        ReloadError::Faulty(_) => "`cache-server check-config FILE` says the same",
        ReloadError::Incomplete(_) => "if the file was cut off, restore it and reload",
        ReloadError::Listen(error) => return error.advice(),
        _ => return None,
    };
    Some(text.to_owned())
}

/// Reloads whenever the process is sent a SIGHUP.
pub async fn on_hangups(reloader: Arc<Reloader>, mut hangups: tokio::signal::unix::Signal) -> io::Result<()> {
    while hangups.recv().await.is_some() {
        // What came of it is in the log.
        let _ = reload(&reloader).await;
    }
    Ok(())
}
