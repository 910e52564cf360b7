//! Where the daemon listens. The ports of caches come and go with a reload; the others stay until the end.
//!
//! A port that cannot be opened takes nothing from the others: it is named wherever an operator looks, and tried again.

mod port;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use admin_api::Purpose;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::port::{OpenSocket, Opened, Port, Refused};
use crate::admin_socket;
use crate::app::{App, StartError};
use crate::config::Config;
use crate::http;
use crate::http::serve::{ConnectionLimits, Listener, Routes, serve};
use crate::systemd::InheritedSockets;

/// How often an address is tried again that could not be opened.
const RETRY: Duration = Duration::from_secs(2);
/// Tells that the API was served from a state directory.
const HAS_SERVED: &str = "has-served";

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

/// The listeners of the daemon.
#[derive(Default)]
pub struct Listeners {
    open: Mutex<Vec<Open>>,
    missing: Mutex<Vec<Missing>>,
    /// Wakes the worker that tries missing addresses.
    some_missing: Notify,
    serving: TaskTracker,
    limits: OnceLock<ConnectionLimits>,
    /// The Unix socket, unless systemd opened it and goes on listening when the daemon is gone.
    own_socket: OnceLock<PathBuf>,
}

struct Open {
    info: ListenerInfo,
    /// The port, where it is that of a cache.
    cache_port: Option<u16>,
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
    routes: Routes,
    info: ListenerInfo,
    cache_port: Option<u16>,
}

impl Listeners {
    /// Serves what was bound at the start, within `limits`.
    pub fn start(&self, limits: ConnectionLimits, prepared: Prepared) {
        let _ = self.limits.set(limits);
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
    pub async fn bind_new(&self, app: &Arc<App>, config: &Config) -> Result<Prepared, StartError> {
        let mut known: Vec<u16> = self.lock().iter().filter_map(|open| open.cache_port).collect();
        known.extend(self.lock_missing().iter().map(|missing| missing.port.number));
        let mut prepared = Prepared::default();
        for port in Port::of_caches(config).filter(|port| !known.contains(&port.number)) {
            let mut none = InheritedSockets::default();
            let opened = port::open(&mut none, &config.server.hostname, port.number).await;
            if opened.sockets.is_empty() {
                return Err(failure(&port, &opened.refused));
            }
            prepared.add(app, &port, opened);
        }
        Ok(prepared)
    }

    /// Serves what [`Listeners::bind_new`] bound, and takes no more connections on ports that no cache has any more. Requests
    /// that are under way there end as they would have.
    pub fn refit(&self, config: &Config, new: Prepared) {
        let owner = |number| Port::of_caches(config).find(|wanted| wanted.number == number);
        self.lock().retain_mut(|open| {
            let Some(number) = open.cache_port else { return true };
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

    /// Waits until it is time to try again what could not be opened.
    pub async fn retry_due(&self) {
        while self.lock_missing().is_empty() {
            self.some_missing.notified().await;
        }
        tokio::time::sleep(RETRY).await;
    }

    /// Tries again what could not be opened.
    pub async fn retry(&self, app: &Arc<App>) {
        let hostname = app.config().server.hostname.clone();
        let missing = self.lock_missing().clone();
        for one in missing {
            let opened = match one.resolved {
                Some(address) => port::bind(vec![address]).await,
                None => port::open(&mut InheritedSockets::default(), &hostname, one.port.number).await,
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
            prepared.add(app, &port, opened);
            self.serve(prepared);
        }
    }

    /// Waits until all have stopped, which the `stopping` of their limits makes them do.
    pub async fn stopped(&self) {
        self.serving.close();
        self.serving.wait().await;
    }

    /// Removes the Unix socket if it is the daemon's own. Blocks for a moment.
    pub fn remove_admin_socket(&self) {
        if let Some(path) = self.own_socket.get() {
            let _ = std::fs::remove_file(path);
        }
    }

    fn serve(&self, prepared: Prepared) {
        let Some(limits) = self.limits.get() else { return };
        for Bound { listener, routes, info, cache_port } in prepared.bound {
            let close = CancellationToken::new();
            self.lock().push(Open { info, cache_port, close: close.clone() });
            self.serving.spawn(serve(listener, routes, limits.clone(), close));
        }
        self.lock_missing().extend(prepared.missing);
        self.some_missing.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_missing(&self) -> MutexGuard<'_, Vec<Missing>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prepared {
    /// Adds what came of opening a port, and logs what is not as it should be.
    fn add(&mut self, app: &Arc<App>, port: &Port, opened: Opened) {
        for Refused { address, resolved, error } in opened.refused {
            tracing::error!(
                address,
                purpose = port.key(),
                %error,
                "cannot listen here; the other ports are served and this one is tried again"
            );
            let error = error.to_string();
            self.missing.push(Missing { port: port.clone(), address, resolved, error });
        }
        for OpenSocket { listener, address, warning } in opened.sockets {
            if let Some(warning) = &warning {
                tracing::warn!(purpose = port.key(), "{warning}");
            }
            let cache_port = port.cache.as_ref().map(|_| port.number);
            self.bound.push(Bound {
                listener: Listener::Tcp(listener),
                routes: match cache_port {
                    Some(number) => http::cache_routes(app, number),
                    None => http::api_routes(app),
                },
                info: ListenerInfo {
                    purpose: port.purpose,
                    address,
                    cache: port.cache.clone(),
                    error: None,
                    warning,
                },
                cache_port,
            });
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
pub async fn bind_all(app: &Arc<App>) -> Result<Prepared, StartError> {
    let config = app.config();
    let server = &config.server;
    let mut inherited = InheritedSockets::from_env();
    let marker = server.state_dir.join(HAS_SERVED);
    let may_lack_api = inherited.has_tcp() || marker.exists();
    let mut prepared = Prepared::default();
    let mut without_api = None;
    for port in Port::all(&config) {
        let opened = port::open(&mut inherited, &server.hostname, port.number).await;
        if opened.sockets.is_empty() && port.purpose == Purpose::Api {
            let failure = failure(&port, &opened.refused);
            if !may_lack_api {
                return Err(failure);
            }
            without_api = Some(failure);
        }
        prepared.add(app, &port, opened);
    }
    if let Some(failure) = without_api {
        if prepared.bound.is_empty() {
            return Err(failure);
        }
    } else if let Err(error) = tokio::fs::write(&marker, "").await {
        tracing::warn!(%error, file = %marker.display(), "cannot be written");
    }
    prepared.bound.push(bind_admin(app, &mut inherited)?);
    for socket in inherited.unclaimed() {
        tracing::warn!(socket, "an inherited socket belongs to no port of the configuration");
    }
    Ok(prepared)
}

fn bind_admin(app: &Arc<App>, inherited: &mut InheritedSockets) -> Result<Bound, StartError> {
    let config = app.config();
    let server = &config.server;
    let admin = match inherited.take_unix() {
        Some(listener) => listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)),
        None => {
            let _ = app.listeners.own_socket.set(server.admin_socket.clone());
            admin_socket::bind(server)
        }
    };
    let address = server.admin_socket.display().to_string();
    let admin = admin.map_err(|reason| StartError::Listen {
        address: address.clone(),
        purpose: "server.admin-socket".to_owned(),
        reason,
    })?;
    let info = ListenerInfo { purpose: Purpose::Admin, address, cache: None, error: None, warning: None };
    Ok(Bound { listener: Listener::Unix(admin), routes: http::admin_routes(app), info, cache_port: None })
}

fn failure(port: &Port, refused: &[Refused]) -> StartError {
    let (address, reason) = match refused.first() {
        Some(Refused { address, error, .. }) => {
            let reason = error.raw_os_error().map(io::Error::from_raw_os_error);
            (address.clone(), reason.unwrap_or_else(|| io::Error::new(error.kind(), error.to_string())))
        }
        None => (format!("port {}", port.number), io::ErrorKind::AddrNotAvailable.into()),
    };
    StartError::Listen { address, purpose: port.key(), reason }
}
