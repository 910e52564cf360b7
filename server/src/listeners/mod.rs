//! Where the daemon listens. The ports of caches come and go with a reload; the others stay until the end.
//!
//! A port that cannot be opened takes nothing from the others: it is named wherever an operator looks, and tried again.

pub mod edge;
mod error;
mod front;
mod identity;
mod own_socket;
mod port;
mod secure;
pub mod serve;
pub mod shortcut;
mod streams;
mod watched;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use admin_api::Purpose;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::edge::OwnPage;
pub use self::error::ListenError;
use self::own_socket::OwnSocket;
use self::port::{OpenSocket, Opened, Port, Refused};
use self::serve::{ConnectionLimits, Listener, Security, Served, serve};
pub use self::worker::{CertificateWatch, Reopener};
use crate::admin_socket;
use crate::chain::chain;
use crate::config::{Config, ServerConfig};
use crate::core::Core;
use crate::state_dir::HAS_SERVED;
use crate::systemd::InheritedSockets;

/// How often an address is tried again that could not be opened.
const RETRY: Duration = Duration::from_secs(2);

/// A socket that the daemon listens on, or should, for `cachectl status`.
#[derive(Clone)]
pub struct ListenerInfo {
    /// What is served there.
    pub purpose: Purpose,
    /// Its address.
    pub address: String,
    /// The cache it belongs to, for a cache's own port.
    pub cache: Option<String>,
    /// Why nothing listens there.
    pub error: Option<String>,
    /// What is odd about it.
    pub warning: Option<String>,
}

impl ListenerInfo {
    /// A word for what is served there.
    pub fn purpose_word(&self) -> &'static str {
        match self.purpose {
            Purpose::Api => "api",
            Purpose::Cache => "cache",
            Purpose::Deploy => "deploy",
            Purpose::Admin => "admin",
            Purpose::Metrics => "metrics",
        }
    }
}

/// The listeners of the daemon.
#[derive(Default)]
pub struct Listeners {
    open: Mutex<Vec<Open>>,
    missing: Mutex<Vec<Missing>>,
    serving: TaskTracker,
    serves: OnceLock<Serves>,
    /// The Unix socket, unless systemd opened it and goes on listening when the daemon is gone.
    own_socket: Mutex<Option<OwnSocket>>,
}

/// What is served on the sockets, and how many clients there may be.
struct Serves {
    limits: ConnectionLimits,
    core: Arc<Core>,
    serves: ServedOn,
}

/// Makes what is served on a socket.
pub type ServedOn = Box<dyn Fn(Entrance) -> Served + Send + Sync>;

/// What a socket is there for, as far as it decides what is served there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// The API with all caches.
    Api,
    /// The cache that has this port to itself, and the API.
    Cache(u16),
    /// The operator's socket.
    Admin,
    /// The address for Prometheus.
    Metrics,
}

struct Open {
    info: ListenerInfo,
    entrance: Entrance,
    close: CancellationToken,
}

/// An address of the configuration that could not be opened.
#[derive(Clone)]
struct Missing {
    port: Port,
    address: String,
    /// `None` where the host name could not be resolved.
    resolved: Option<SocketAddr>,
    error: String,
}

/// What came of opening ports: nothing of it is served or tried again yet.
#[derive(Default)]
pub struct Prepared {
    bound: Vec<Bound>,
    missing: Vec<Missing>,
}

/// A socket that is bound, and not served yet.
struct Bound {
    listener: Listener,
    info: ListenerInfo,
    entrance: Entrance,
}

impl Listeners {
    /// Serves what was bound at the start, within `limits`. What is served on a socket, also on later ones, `serves` says.
    pub fn start(&self, limits: ConnectionLimits, core: Arc<Core>, serves: ServedOn, prepared: Prepared) {
        let _ = self.serves.set(Serves { limits, core, serves });
        self.serve(prepared);
    }

    /// All of them, for people; those that could not be opened come last.
    pub fn infos(&self) -> Vec<ListenerInfo> {
        let mut infos: Vec<_> = self.lock().iter().map(|open| open.info.clone()).collect();
        infos.extend(self.lock_missing().iter().map(Missing::info));
        infos
    }

    /// What systemd shows of the daemon.
    pub fn summary(&self) -> String {
        let missing: Vec<_> = self.lock_missing().iter().map(|one| one.address.clone()).collect();
        if missing.is_empty() {
            "serving".to_owned()
        } else {
            format!("serving, but not on {}", missing.join(", "))
        }
    }

    /// Binds the ports of caches that are new in this configuration.
    ///
    /// # Errors
    ///
    /// When a new port cannot be opened at all. One that could not be opened before is left to [`Listeners::retry`].
    pub async fn bind_new(&self, config: &Config) -> Result<Prepared, ListenError> {
        let mut known: Vec<u16> = self.lock().iter().filter_map(|open| open.entrance.port()).collect();
        known.extend(self.lock_missing().iter().map(|missing| missing.port.number));
        let mut prepared = Prepared::default();
        for port in Port::of_caches(config).filter(|port| !known.contains(&port.number)) {
            let mut none = InheritedSockets::default();
            let opened = port::open(&mut none, &config.server.hostname, port.number).await;
            if opened.sockets.is_empty() {
                return Err(failure(&port, &opened.refused));
            }
            prepared.add(&port, opened);
        }
        Ok(prepared)
    }

    /// Serves what [`Listeners::bind_new`] bound, and takes no more connections on ports that no cache has any more. Requests
    /// that are under way there end as they would have.
    pub fn apply_reload(&self, config: &Config, new: Prepared) {
        let owner = |number| Port::of_caches(config).find(|wanted| wanted.number == number);
        self.lock().retain_mut(|open| {
            let Some(number) = open.entrance.port() else { return true };
            match owner(number) {
                Some(port) => open.info.cache = port.cache,
                None => open.close.cancel(),
            }
            !open.close.is_cancelled()
        });
        self.lock_missing().retain_mut(|missing| {
            if missing.port.purpose != Purpose::Cache {
                return true;
            }
            let Some(port) = owner(missing.port.number) else { return false };
            missing.port = port;
            true
        });
        self.serve(new);
    }

    /// Waits until something that should be open is not, and it is time to try again.
    pub async fn retry_due(&self) {
        loop {
            tokio::time::sleep(RETRY).await;
            if !self.lock_missing().is_empty()
                || self.own_socket.lock().as_ref().is_some_and(OwnSocket::is_gone)
            {
                return;
            }
        }
    }

    /// Tries again what could not be opened, and what was lost.
    ///
    /// # Errors
    ///
    /// If the admin socket was removed and cannot be opened again.
    pub async fn retry(&self, server: &ServerConfig) -> Result<(), ListenError> {
        self.reopen_missing(server).await;
        self.reopen_admin_socket(server)
    }

    /// Opens the admin socket again if its file was removed, as a cleaner of temporary files may do. Clients that are
    /// connected stay so.
    fn reopen_admin_socket(&self, server: &ServerConfig) -> Result<(), ListenError> {
        if !self.own_socket.lock().as_ref().is_some_and(OwnSocket::is_gone) {
            return Ok(());
        }
        let bound = self.bind_own_socket(server)?;
        self.lock().retain(|open| {
            if open.entrance == Entrance::Admin {
                open.close.cancel();
            }
            open.entrance != Entrance::Admin
        });
        tracing::warn!(address = bound.info.address, "the admin socket had been removed and is open again");
        self.serve(Prepared { bound: vec![bound], missing: Vec::new() });
        Ok(())
    }

    fn bind_own_socket(&self, server: &ServerConfig) -> Result<Bound, ListenError> {
        let path = &server.admin_socket;
        let bound = admin_socket::bind(server).and_then(|listener| Ok((listener, OwnSocket::at(path)?)));
        let (listener, own) = bound.map_err(|reason| admin_error(server, reason))?;
        *self.own_socket.lock() = Some(own);
        Ok(admin_bound(server, listener))
    }

    async fn reopen_missing(&self, server: &ServerConfig) {
        let missing = self.lock_missing().clone();
        for one in missing {
            let opened = match one.resolved {
                Some(address) => port::bind(vec![address]).await,
                None => {
                    let host = one.port.host(server);
                    port::open(&mut InheritedSockets::default(), &host, one.port.number).await
                }
            };
            // A reload may have dropped the port meanwhile.
            let mut missing = self.lock_missing();
            let Some(at) = missing.iter().position(|other| one.is_same(other)) else { continue };
            if opened.sockets.is_empty() {
                if let Some(refused) = opened.refused.first() {
                    missing[at].error = refused.error.to_string();
                }
                continue;
            }
            let port = missing.remove(at).port;
            drop(missing);
            tracing::info!(
                address = one.address,
                purpose = port.key(),
                "listening, as the address is free now"
            );
            let mut prepared = Prepared::default();
            prepared.add(&port, opened);
            self.serve(prepared);
        }
    }

    /// How many connections of clients are open.
    pub fn client_connections(&self) -> usize {
        self.serves.get().map_or(0, |serves| serves.limits.clients())
    }

    /// Whether the daemon is stopping, so that it takes no new connections.
    pub fn is_draining(&self) -> bool {
        self.serves.get().is_some_and(|serves| serves.limits.is_draining())
    }

    /// Waits until all have stopped, which the `stopping` of their limits makes them do.
    pub async fn stopped(&self) {
        self.serving.close();
        self.serving.wait().await;
    }

    /// Removes the Unix socket if it is the daemon's own. Blocks for a moment.
    pub fn remove_admin_socket(&self) {
        if let Some(own) = self.own_socket.lock().take() {
            own.remove();
        }
    }

    fn serve(&self, prepared: Prepared) {
        let Some(Serves { limits, core, serves }) = self.serves.get() else { return };
        for Bound { listener, info, entrance } in prepared.bound {
            let close = CancellationToken::new();
            tracing::info!(
                purpose = info.purpose_word(),
                address = info.address,
                cache = info.cache,
                "listening"
            );
            self.lock().push(Open { info, entrance, close: close.clone() });
            let security = Security::new(core.clone(), entrance);
            self.serving.spawn(serve(listener, serves(entrance), limits.clone(), security, close));
        }
        self.lock_missing().extend(prepared.missing);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock()
    }

    fn lock_missing(&self) -> MutexGuard<'_, Vec<Missing>> {
        self.missing.lock()
    }
}

impl Prepared {
    /// Adds what came of opening a port, and logs what is not as it should be.
    fn add(&mut self, port: &Port, opened: Opened) {
        for Refused { address, resolved, error } in opened.refused {
            tracing::error!(
                address,
                purpose = port.key(),
                error = %chain(&error),
                "cannot listen here; the other ports are served and this one is tried again"
            );
            let error = error.to_string();
            self.missing.push(Missing { port: port.clone(), address, resolved, error });
        }
        for OpenSocket { listener, address, warning } in opened.sockets {
            if let Some(warning) = &warning {
                tracing::warn!(purpose = port.key(), "{warning}");
            }
            self.bound.push(Bound {
                listener: Listener::Tcp(listener),
                info: ListenerInfo {
                    purpose: port.purpose,
                    address,
                    cache: port.cache.clone(),
                    error: None,
                    warning,
                },
                entrance: match port.purpose {
                    Purpose::Cache => Entrance::Cache(port.number),
                    Purpose::Metrics => Entrance::Metrics,
                    Purpose::Api | Purpose::Deploy | Purpose::Admin => Entrance::Api,
                },
            });
        }
    }
}

impl Entrance {
    /// The port, where it is that of a cache.
    fn port(self) -> Option<u16> {
        match self {
            Self::Cache(port) => Some(port),
            Self::Api | Self::Admin | Self::Metrics => None,
        }
    }
}

impl Missing {
    fn is_same(&self, other: &Self) -> bool {
        self.port.number == other.port.number && self.address == other.address
    }

    fn info(&self) -> ListenerInfo {
        ListenerInfo {
            purpose: self.port.purpose,
            address: self.address.clone(),
            cache: self.port.cache.clone(),
            error: Some(self.error.clone()),
            warning: None,
        }
    }
}

/// Binds everything that the configuration names, taking over the sockets that systemd opened.
///
/// # Errors
///
/// When there is nothing to listen on, or no admin socket. Also when the port of the API cannot be opened at what looks like
/// a first start: that is a mistake in the configuration, or a second daemon. One that has served before, or was handed
/// sockets by systemd, serves the ports that it has.
pub async fn bind_all(listeners: &Listeners, config: &Config) -> Result<Prepared, ListenError> {
    let server = &config.server;
    let mut inherited = InheritedSockets::from_env();
    let marker = server.state_dir.join(HAS_SERVED);
    let may_lack_api = inherited.has_tcp() || marker.exists();
    let mut prepared = Prepared::default();
    let mut without_api = None;
    for port in Port::all(config) {
        let opened = port::open(&mut inherited, &port.host(server), port.number).await;
        if opened.sockets.is_empty() && port.purpose == Purpose::Api {
            let failure = failure(&port, &opened.refused);
            if !may_lack_api {
                return Err(failure);
            }
            without_api = Some(failure);
        }
        prepared.add(&port, opened);
    }
    if let Some(failure) = without_api {
        if prepared.bound.is_empty() {
            return Err(failure);
        }
    } else if let Err(error) = tokio::fs::write(&marker, "").await {
        tracing::warn!(error = %chain(&error), file = %marker.display(), "cannot be written");
    }
    prepared.bound.push(bind_admin(listeners, config, &mut inherited)?);
    for socket in inherited.unclaimed() {
        tracing::warn!(socket, "an inherited socket belongs to no port of the configuration");
    }
    Ok(prepared)
}

fn bind_admin(
    listeners: &Listeners,
    config: &Config,
    inherited: &mut InheritedSockets,
) -> Result<Bound, ListenError> {
    let server = &config.server;
    let Some(inherited) = inherited.take_unix() else { return listeners.bind_own_socket(server) };
    let listener = inherited.set_nonblocking(true).and_then(|()| UnixListener::from_std(inherited));
    Ok(admin_bound(server, listener.map_err(|reason| admin_error(server, reason))?))
}

fn admin_bound(server: &ServerConfig, listener: UnixListener) -> Bound {
    let address = server.admin_socket.display().to_string();
    let info = ListenerInfo { purpose: Purpose::Admin, address, cache: None, error: None, warning: None };
    Bound { listener: Listener::Unix(listener), info, entrance: Entrance::Admin }
}

fn admin_error(server: &ServerConfig, reason: io::Error) -> ListenError {
    let address = server.admin_socket.display().to_string();
    ListenError { address, purpose: "server.admin-socket".to_owned(), reason }
}

fn failure(port: &Port, refused: &[Refused]) -> ListenError {
    let (address, reason) = match refused.first() {
        Some(Refused { address, error, .. }) => {
            let reason = error.raw_os_error().map(io::Error::from_raw_os_error);
            (address.clone(), reason.unwrap_or_else(|| io::Error::new(error.kind(), error.to_string())))
        }
        None => (format!("port {}", port.number), io::ErrorKind::AddrNotAvailable.into()),
    };
    ListenError { address, purpose: port.key(), reason }
}
