//! Wires the parts: what starts in which order, when the daemon is ready, how it stops.

use std::fs::{DirBuilder, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use catalog::{Catalog, CatalogError, UnixTime};
use rustix::fs::FlockOperation;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth::Tokens;
use crate::cache::push::{Intents, Pusher};
use crate::cache::setup::{Setup, SetupError, set_up};
use crate::cache::{Cache, Caches};
use crate::config::{Config, SecretError};
use crate::http::origin::{Origin, node_url, without_port};
use crate::http::serve::{ConnectionLimits, Listener, Routes, serve};
use crate::http::{self, Forwarder, PartUrlKey};
use crate::jobs::Jobs;
use crate::sealing::Sealer;
use crate::server_key;
use crate::systemd::{self, InheritedSockets};
use crate::workers::{self, Workers};

/// Most files that are unpacked from NARs at once.
const MAX_UNPACKING: usize = 8;

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
    /// An address is taken or not ours.
    #[error("cannot listen on {address} ({purpose}): {source}")]
    Listen {
        /// The address.
        address: String,
        /// Which key of the configuration asked for it.
        purpose: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket that the daemon listens on, for `cachectl status`.
pub struct ListenerInfo {
    /// What is served there.
    pub purpose: admin_api::Purpose,
    /// Its address.
    pub address: String,
    /// The cache it belongs to, for a cache's own port.
    pub cache: Option<String>,
}

/// Everything the daemon is made of while it runs.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// What is known.
    pub catalog: Catalog,
    /// The enabled caches.
    pub caches: Caches,
    /// Tokens.
    pub tokens: Tokens,
    /// Takes pushes.
    pub pusher: Arc<Pusher>,
    /// Long jobs.
    pub jobs: Jobs,
    /// What is done in the background again and again.
    pub workers: Workers,
    /// Builds absolute URLs.
    pub origin: Origin,
    /// Signs part URLs.
    pub part_urls: PartUrlKey,
    /// Passes requests on to the daemons that share the catalog.
    pub forwarder: Forwarder,
    /// Slots for unpacking single files.
    pub unpacking: Arc<Semaphore>,
    /// When it started, on the wall clock.
    pub started_at: UnixTime,
    /// When it started, for its uptime.
    pub started: Instant,
    /// Where it listens.
    pub listeners: std::sync::OnceLock<Vec<ListenerInfo>>,
    /// Held for as long as the daemon uses its state directory.
    _lock: File,
}

impl App {
    /// Opens everything and repairs what a crash left. Nothing listens yet.
    pub async fn open(config: Config) -> Result<Arc<Self>, StartError> {
        let started = Instant::now();
        let state_dir = config.server.state_dir.clone();
        let lock = claim(&state_dir)?;
        let key = server_key::load_or_generate(&config.server.key, &state_dir)?;
        let catalog = Catalog::open(config.server.database.expose()).await?;
        let host = key_host(&config);
        let sealer = Sealer::derive(key.as_bytes());
        let caches = set_up(&Setup { config: &config, host: &host, sealer: &sealer }, &catalog).await?;
        let intents = Intents::open(state_dir.join("intents"))
            .map_err(|source| StartError::StateDir { path: state_dir.join("intents"), source })?;
        let node_url = node_url(&config.server);
        if catalog.is_shared() {
            tracing::info!(node_url, "other daemons that share the database reach this one at its node-url");
        }
        let pusher = Arc::new(Pusher::new(catalog.clone(), intents, &node_url));
        pusher.disown_uploads().await;
        pusher.remove_leftovers(&caches).await;
        // What is due now was left by a previous run; nobody knows which of its files made it to the disk.
        pusher.publish_again();
        let app = Self {
            tokens: Tokens::load(catalog.clone(), key.as_bytes()).await?,
            pusher,
            jobs: Jobs::default(),
            workers: Workers::default(),
            origin: Origin::new(config.server.public_url.clone(), config.server.server_port),
            part_urls: PartUrlKey::derive(key.as_bytes(), config.server.upload_expiry),
            forwarder: Forwarder::default(),
            unpacking: Arc::new(Semaphore::new(MAX_UNPACKING)),
            started_at: UnixTime::now(),
            started,
            listeners: std::sync::OnceLock::new(),
            config,
            catalog,
            caches,
            _lock: lock,
        };
        Ok(Arc::new(app))
    }

    /// Remembers whose turn it is. Every commit does so as well, but for turns that were lost since.
    async fn save_turns(&self) {
        for cache in self.caches.iter() {
            if let Some(turns) = cache.storages.turns()
                && let Err(error) = self.catalog.save_turns(cache.id, turns).await
            {
                tracing::warn!(cache = cache.name(), %error, "could not remember whose turn it is");
            }
        }
    }

    /// The cache that a host name stands for: its first label, unless the name is that of the server itself.
    pub fn cache_of_host(&self, host: &str) -> Option<&Arc<Cache>> {
        let host = without_port(host);
        let own = self.config.server.public_url.as_ref().and_then(|url| url.host_str());
        if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
            return None;
        }
        let (label, _) = host.split_once('.')?;
        if label.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.caches.find(&label.to_ascii_lowercase());
        }
        self.caches.find(label)
    }
}

/// Listens, serves until `stop` is cancelled, then drains.
pub async fn run(
    app: Arc<App>,
    stop: CancellationToken,
    on_ready: impl FnOnce(&App),
) -> Result<(), StartError> {
    let (stopping, stopping_seen) = watch::channel(false);
    let limits = ConnectionLimits::new(app.config.server.max_connections, stopping_seen);
    let stop_workers = CancellationToken::new();
    let mut jobs = JoinSet::new();
    workers::follow(&app, &stop_workers, &mut jobs).await;
    let mut bound = Vec::new();
    let mut infos = Vec::new();
    for (listener, routes, info) in bind_all(&app).await? {
        bound.push((listener, routes));
        infos.push(info);
    }
    let _ = app.listeners.set(infos);
    let mut servers = JoinSet::new();
    for (listener, routes) in bound {
        servers.spawn(serve(listener, routes, limits.clone()));
    }
    workers::start(&app, &stop_workers, &mut jobs);
    let watchdog = tokio::spawn(systemd::run_watchdog());
    systemd::notify_ready("serving");
    on_ready(&app);

    stop.cancelled().await;
    tracing::info!("stopping: running transfers may finish");
    systemd::notify_stopping();
    stopping.send_replace(true);
    let drained = async {
        // Whoever watches a job stays connected until it ends.
        let served = async { while servers.join_next().await.is_some() {} };
        tokio::join!(served, app.jobs.shut_down());
        app.pusher.drain().await;
    };
    if tokio::time::timeout(app.config.server.drain_timeout, drained).await.is_err() {
        tracing::warn!("some transfers did not finish in time and are cut off");
    }
    app.jobs.shut_down().await;
    stop_workers.cancel();
    while jobs.join_next().await.is_some() {}
    watchdog.abort();
    app.save_turns().await;
    app.pusher.disown_uploads().await;
    app.catalog.close().await;
    let _ = std::fs::remove_file(&app.config.server.admin_socket);
    Ok(())
}

type Bound = (Listener, Routes, ListenerInfo);

async fn bind_all(app: &Arc<App>) -> Result<Vec<Bound>, StartError> {
    use admin_api::Purpose;
    let server = &app.config.server;
    let mut inherited = InheritedSockets::from_env();
    let mut bound = Vec::new();
    let api = bind_tcp(&mut inherited, &server.hostname, server.server_port, "server.server-port").await?;
    for (listener, address) in api {
        let info = ListenerInfo { purpose: Purpose::Api, address, cache: None };
        bound.push((listener, http::api_routes(app), info));
    }
    for cache in app.caches.iter() {
        let Some(port) = cache.config.port else { continue };
        let purpose = format!("port of cache `{}`", cache.name());
        for (listener, address) in bind_tcp(&mut inherited, &server.hostname, port, &purpose).await? {
            let info =
                ListenerInfo { purpose: Purpose::Cache, address, cache: Some(cache.name().to_owned()) };
            bound.push((listener, http::cache_routes(app, cache.clone()), info));
        }
    }
    let admin = match inherited.take_unix() {
        Some(listener) => listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)),
        None => bind_admin(&server.admin_socket),
    };
    let address = server.admin_socket.display().to_string();
    let admin = admin.map_err(|source| StartError::Listen {
        address: address.clone(),
        purpose: "server.admin-socket".to_owned(),
        source,
    })?;
    let info = ListenerInfo { purpose: Purpose::Admin, address, cache: None };
    bound.push((Listener::Unix(admin), http::admin_routes(app), info));
    for socket in inherited.unclaimed() {
        tracing::warn!(socket, "an inherited socket belongs to no port of the configuration");
    }
    Ok(bound)
}

/// Listens on every address that `hostname` stands for, or takes the socket systemd opened for this port.
async fn bind_tcp(
    inherited: &mut InheritedSockets,
    hostname: &str,
    port: u16,
    purpose: &str,
) -> Result<Vec<(Listener, String)>, StartError> {
    let failed = |source| StartError::Listen {
        address: format!("{hostname}:{port}"),
        purpose: purpose.to_owned(),
        source,
    };
    if let Some(listener) = inherited.take_tcp(port) {
        let address = listener.local_addr().map_err(failed)?.to_string();
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        return Ok(vec![(Listener::Tcp(listener), address)]);
    }
    let mut addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((hostname, port)).await.map_err(failed)?.collect();
    addresses.sort();
    addresses.dedup();
    let mut bound = Vec::new();
    let mut refused = None;
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => bound.push((Listener::Tcp(listener), address.to_string())),
            // `localhost` may stand for ::1 on a machine without IPv6.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => refused = Some(error),
            Err(error) => return Err(failed(error)),
        }
    }
    match refused {
        Some(error) if bound.is_empty() => Err(failed(error)),
        _ => Ok(bound),
    }
}

/// Replaces the socket file of a daemon that is gone: the lock on the state directory proves that none is running.
fn bind_admin(path: &Path) -> io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
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
