//! Wires the parts: what starts in which order, when the daemon is ready, how it stops.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use catalog::{Catalog, CatalogError, UnixTime};
use rustix::fs::FlockOperation;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::Tokens;
use crate::cache::push::{Intents, Pusher};
use crate::cache::setup::{Setup, SetupError, Shared, set_up};
use crate::cache::{Cache, Caches};
use crate::clock::Clock;
use crate::config::{Config, Secret, SecretError};
use crate::deploy::Deploy;
use crate::federation::{Federation, FederationError};
use crate::http::origin::{Origin, node_url, reachable_host, without_port};
use crate::http::serve::ConnectionLimits;
use crate::http::{Forwarder, PartUrlKey};
use crate::jobs::Jobs;
use crate::listeners::{self, Listeners};
use crate::reload::{LogControl, Reloader};
use crate::sealing::Sealer;
use crate::server_key;
use crate::systemd;
use crate::workers::{self, Workers};

/// Why the daemon could not start. Each says what to do about it, where that is known.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory is unusable.
    #[error("state directory {}: {source}", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another daemon works there.
    #[error("another cache-server already uses the state directory {}", .0.display())]
    AlreadyRunning(PathBuf),
    /// The server key cannot be read.
    #[error("server.key: {0}")]
    Key(#[from] SecretError),
    /// The password for the database cannot be read.
    #[error("server.database-password-file: {0}")]
    DatabasePassword(#[source] SecretError),
    /// The server key cannot be made.
    #[error("server key file {}: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The catalog failed.
    #[error("catalog: {0}")]
    Catalog(#[from] CatalogError),
    /// A cache could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The node of the network could not start.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// An address is taken or not ours.
    #[error("cannot listen on {address} ({purpose}): {reason}")]
    Listen {
        /// The address.
        address: String,
        /// Which key of the configuration asked for it.
        purpose: String,
        /// What the system said.
        reason: io::Error,
    },
}

impl StartError {
    /// What to do about it, where the error does not say so itself.
    pub fn advice(&self) -> Option<String> {
        let Self::Listen { purpose, reason, .. } = self else { return None };
        Some(match reason.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another program listens there, perhaps a second cache-server: stop it, or choose another port ({purpose})"
            ),
            io::ErrorKind::AddrNotAvailable => {
                "no address of this machine: change `server.hostname`; `0.0.0.0` is every address".to_owned()
            }
            io::ErrorKind::PermissionDenied => format!(
                "a port below 1024 takes the capability CAP_NET_BIND_SERVICE: grant it, or choose another port ({purpose})"
            ),
            // Errors of the resolver are none of the system's.
            _ if reason.raw_os_error().is_none() => {
                "change `server.hostname` to an address of this machine, or to a name of one".to_owned()
            }
            _ => return None,
        })
    }
}

/// Everything the daemon is made of while it runs.
pub struct App {
    /// What is known.
    pub catalog: Catalog,
    /// Whether the time can be believed.
    pub(crate) clock: Clock,
    /// Tokens.
    pub tokens: Tokens,
    /// Workspaces, agents and deployments.
    pub deploy: Arc<Deploy>,
    /// Takes pushes.
    pub pusher: Arc<Pusher>,
    /// Long jobs.
    pub jobs: Jobs,
    /// What is done in the background again and again.
    pub workers: Workers,
    /// Builds absolute URLs.
    pub origin: Origin,
    /// Signs part URLs.
    pub part_urls: ArcSwap<PartUrlKey>,
    /// Asks others for what is not here, and tells them what is.
    pub federation: Arc<Federation>,
    /// Passes requests on to the daemons that share the catalog.
    pub forwarder: Forwarder,
    /// When it started, on the wall clock.
    pub started_at: UnixTime,
    /// When it started, for its uptime.
    pub started: Instant,
    /// Where it listens.
    pub listeners: Listeners,
    /// Changes the configuration while the daemon runs.
    pub reloader: Reloader,
    pub(crate) config: ArcSwap<Config>,
    pub(crate) caches: ArcSwap<Caches>,
    /// Held for as long as the daemon uses its state directory.
    _lock: File,
}

impl App {
    /// Opens everything and repairs what a crash left. Nothing listens yet. `text` is that of the configuration file, if
    /// there is one. A reload tells `logging` what to log from then on.
    pub async fn open(
        config: Config,
        text: Option<Secret>,
        logging: LogControl,
    ) -> Result<Arc<Self>, StartError> {
        let started = Instant::now();
        let state_dir = config.server.state_dir.clone();
        let lock = claim(&state_dir)?;
        let key = server_key::load_or_generate(&config.server.key, &state_dir)?;
        let database = config.server.open_database().map_err(StartError::DatabasePassword)?;
        let catalog = Catalog::open(database.expose()).await?;
        let clock = Clock::open(catalog.clone()).await?;
        let host = key_host(&config);
        let sealer = Sealer::derive(key.as_bytes());
        let shared = Shared::new(config.server.narinfo_memory);
        let setup = Setup { config: &config, host: &host, sealer: &sealer, shared: &shared };
        let caches = set_up(&setup, &catalog, &Caches::default()).await?.take_effect(&catalog).await?;
        let intents = Intents::open(state_dir.join("intents"))
            .map_err(|source| StartError::StateDir { path: state_dir.join("intents"), source })?;
        let node_url = node_url(&config.server);
        let own_host = reachable_host(&config.server).await;
        if catalog.is_shared() {
            tracing::info!(node_url, "other daemons that share the database reach this one at its node-url");
        }
        let pusher = Arc::new(Pusher::new(catalog.clone(), intents, &node_url));
        pusher.disown_uploads().await;
        pusher.take_up_uploads(&caches).await;
        pusher.remove_leftovers(&caches).await;
        // What is due now was left by a previous run; nobody knows which of its files made it to the disk.
        pusher.publish_again();
        let deploy = Arc::new(Deploy::open(catalog.clone(), &config, &caches).await?);
        let app = Self {
            clock,
            deploy,
            tokens: Tokens::load(catalog.clone(), key.as_bytes()).await?,
            pusher: pusher.clone(),
            jobs: Jobs::default(),
            workers: Workers::default(),
            origin: Origin::new(config.server.public_url.clone(), own_host, config.server.server_port),
            part_urls: ArcSwap::from_pointee(PartUrlKey::derive(key.as_bytes(), config.server.upload_expiry)),
            federation: Arc::new(Federation::new(
                &config.server,
                key.as_bytes(),
                catalog.clone(),
                pusher.clone(),
            )),
            forwarder: Forwarder::default(),
            started_at: UnixTime::now(),
            started,
            listeners: Listeners::default(),
            reloader: Reloader::new(shared, host, key, text, logging),
            config: ArcSwap::from_pointee(config),
            catalog,
            caches: ArcSwap::from_pointee(caches),
            _lock: lock,
        };
        Ok(Arc::new(app))
    }

    /// The configuration that is in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The enabled caches.
    pub fn caches(&self) -> Arc<Caches> {
        self.caches.load_full()
    }

    /// Remembers whose turn it is. Every commit does so as well, but for turns that were lost since.
    async fn save_turns(&self) {
        for cache in self.caches().iter() {
            if let Some(turns) = cache.storages().turns()
                && let Err(error) = self.catalog.save_turns(cache.id, turns).await
            {
                tracing::warn!(cache = cache.name(), %error, "could not remember whose turn it is");
            }
        }
    }

    /// The cache that a host name stands for: its first label, unless the name is that of the server itself.
    pub fn cache_of_host(&self, host: &str) -> Option<Arc<Cache>> {
        let host = without_port(host);
        let config = self.config.load();
        let own = config.server.public_url.as_ref().and_then(|url| url.host_str());
        if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
            return None;
        }
        let (label, _) = host.split_once('.')?;
        if label.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.caches.load().find(&label.to_ascii_lowercase());
        }
        self.caches.load().find(label)
    }
}

/// Listens, serves until `stop` is cancelled, then drains.
pub async fn run(
    app: Arc<App>,
    stop: CancellationToken,
    on_ready: impl FnOnce(&App),
) -> Result<(), StartError> {
    let (stopping, stopping_seen) = watch::channel(false);
    let limits = ConnectionLimits::new(app.config().server.max_connections, stopping_seen);
    workers::follow(&app).await;
    let bound = listeners::bind_all(&app).await?;
    app.federation.start(&app.config(), app.reloader.key().as_bytes(), app.caches()).await?;
    app.listeners.start(limits, bound);
    workers::start(&app);
    let watchdog = tokio::spawn(systemd::run_watchdog());
    systemd::notify_ready(&app.listeners.summary());
    let revocations = tokio::spawn(end_uploads_of_revoked_tokens(app.clone()));
    on_ready(&app);

    stop.cancelled().await;
    tracing::info!("stopping: running transfers may finish");
    systemd::notify_stopping();
    stopping.send_replace(true);
    app.federation.stop();
    let drained = async {
        // Whoever watches a job stays connected until it ends.
        tokio::join!(app.listeners.stopped(), app.jobs.shut_down(), app.deploy.close());
        app.pusher.drain().await;
    };
    if tokio::time::timeout(app.config().server.drain_timeout, drained).await.is_err() {
        tracing::warn!("some transfers did not finish in time and are cut off");
    }
    app.jobs.shut_down().await;
    app.workers.stop().await;
    watchdog.abort();
    revocations.abort();
    app.save_turns().await;
    app.pusher.leave_uploads();
    app.catalog.close().await;
    app.listeners.remove_admin_socket();
    Ok(())
}

/// Ends the uploads of each token as soon as it is revoked.
async fn end_uploads_of_revoked_tokens(app: Arc<App>) {
    let mut revoked = app.tokens.watch_revoked();
    while revoked.changed().await.is_ok() {
        let ended = app.pusher.end_uploads_of(|token| !app.tokens.may_continue(token));
        if ended > 0 {
            tracing::info!(ended, "ended the unfinished uploads of tokens that are not valid any more");
        }
    }
}

/// Creates the state directory and locks it against a second daemon.
fn claim(state_dir: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::StateDir { path: state_dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o750).create(state_dir).map_err(failed)?;
    let lock = File::create(state_dir.join("lock")).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::AlreadyRunning(state_dir.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// `HOST` of key names: the public name, else the configured one, else what this machine is called.
fn key_host(config: &Config) -> String {
    if let Some(host) = config.server.public_url.as_ref().and_then(|url| url.host_str()) {
        return host.to_owned();
    }
    let hostname = config.server.hostname.as_str();
    match hostname.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_loopback() => "localhost".to_owned(),
        Ok(_) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        Err(_) => hostname.to_owned(),
    }
}
