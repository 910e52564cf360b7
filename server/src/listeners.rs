//! Where the daemon listens. The ports of caches come and go with a reload; the others stay until the end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use admin_api::Purpose;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin_socket;
use crate::app::{App, StartError};
use crate::config::Config;
use crate::http;
use crate::http::serve::{ConnectionLimits, Listener, Routes, serve};
use crate::systemd::InheritedSockets;

/// A socket that the daemon listens on, for `cachectl status`.
#[derive(Clone)]
pub struct ListenerInfo {
    /// What is served there.
    pub purpose: Purpose,
    /// Its address.
    pub address: String,
    /// The cache it belongs to, for a cache's own port.
    pub cache: Option<String>,
}

/// The listeners of the daemon.
#[derive(Default)]
pub struct Listeners {
    open: Mutex<Vec<Open>>,
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

/// A socket that is bound, and not served yet.
pub struct Bound {
    listener: Listener,
    routes: Routes,
    info: ListenerInfo,
    cache_port: Option<u16>,
}

impl Listeners {
    /// Serves what was bound at the start, within `limits`.
    pub fn start(&self, limits: ConnectionLimits, bound: Vec<Bound>) {
        let _ = self.limits.set(limits);
        self.serve(bound);
    }

    /// All of them, for people.
    pub fn infos(&self) -> Vec<ListenerInfo> {
        self.lock().iter().map(|open| open.info.clone()).collect()
    }

    /// Binds the ports of caches that are in this configuration and not listened on yet.
    pub async fn bind_new(&self, app: &Arc<App>, config: &Config) -> Result<Vec<Bound>, StartError> {
        let listening: Vec<u16> = self.lock().iter().filter_map(|open| open.cache_port).collect();
        let mut bound = Vec::new();
        for (port, cache) in cache_ports(config) {
            if !listening.contains(&port) {
                let mut none = InheritedSockets::default();
                bound.extend(bind_cache_port(app, &mut none, &config.server.hostname, port, cache).await?);
            }
        }
        Ok(bound)
    }

    /// Serves what [`Listeners::bind_new`] bound, and takes no more connections on ports that no cache has any more. Requests
    /// that are under way there end as they would have.
    pub fn refit(&self, config: &Config, new: Vec<Bound>) {
        self.lock().retain_mut(|open| {
            let Some(port) = open.cache_port else { return true };
            match cache_ports(config).find(|(wanted, _)| *wanted == port) {
                Some((_, cache)) => open.info.cache = Some(cache.to_owned()),
                None => open.close.cancel(),
            }
            !open.close.is_cancelled()
        });
        self.serve(new);
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

    fn serve(&self, bound: Vec<Bound>) {
        let Some(limits) = self.limits.get() else { return };
        for Bound { listener, routes, info, cache_port } in bound {
            let close = CancellationToken::new();
            self.lock().push(Open { info, cache_port, close: close.clone() });
            self.serving.spawn(serve(listener, routes, limits.clone(), close));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ports of the enabled caches that have one, with the names of the caches.
fn cache_ports(config: &Config) -> impl Iterator<Item = (u16, &str)> {
    let enabled = config.caches.iter().filter(|cache| cache.enabled);
    enabled.filter_map(|cache| Some((cache.port?, cache.name.as_str())))
}

/// Binds everything that the configuration names, taking over the sockets that systemd opened.
pub async fn bind_all(app: &Arc<App>) -> Result<Vec<Bound>, StartError> {
    let config = app.config();
    let server = &config.server;
    let mut inherited = InheritedSockets::from_env();
    let mut bound = Vec::new();
    let api = bind_tcp(&mut inherited, &server.hostname, server.server_port, "server.server-port").await?;
    for (listener, address) in api {
        let info = ListenerInfo { purpose: Purpose::Api, address, cache: None };
        bound.push(Bound { listener, routes: http::api_routes(app), info, cache_port: None });
    }
    // The same as on the API port: agents fetch from where they get their orders (protocol reference 7.6).
    let deploy = bind_tcp(&mut inherited, &server.hostname, server.deploy_port, "server.deploy-port").await?;
    for (listener, address) in deploy {
        let info = ListenerInfo { purpose: Purpose::Deploy, address, cache: None };
        bound.push(Bound { listener, routes: http::api_routes(app), info, cache_port: None });
    }
    for (port, cache) in cache_ports(&config) {
        bound.extend(bind_cache_port(app, &mut inherited, &server.hostname, port, cache).await?);
    }
    let admin = match inherited.take_unix() {
        Some(listener) => listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)),
        None => {
            let _ = app.listeners.own_socket.set(server.admin_socket.clone());
            admin_socket::bind(server)
        }
    };
    let address = server.admin_socket.display().to_string();
    let admin = admin.map_err(|source| StartError::Listen {
        address: address.clone(),
        purpose: "server.admin-socket".to_owned(),
        source,
    })?;
    let info = ListenerInfo { purpose: Purpose::Admin, address, cache: None };
    let routes = http::admin_routes(app);
    bound.push(Bound { listener: Listener::Unix(admin), routes, info, cache_port: None });
    for socket in inherited.unclaimed() {
        tracing::warn!(socket, "an inherited socket belongs to no port of the configuration");
    }
    Ok(bound)
}

async fn bind_cache_port(
    app: &Arc<App>,
    inherited: &mut InheritedSockets,
    hostname: &str,
    port: u16,
    cache: &str,
) -> Result<Vec<Bound>, StartError> {
    let purpose = format!("port of cache `{cache}`");
    let listeners = bind_tcp(inherited, hostname, port, &purpose).await?;
    let bound = listeners.into_iter().map(|(listener, address)| Bound {
        listener,
        routes: http::cache_routes(app, port),
        info: ListenerInfo { purpose: Purpose::Cache, address, cache: Some(cache.to_owned()) },
        cache_port: Some(port),
    });
    Ok(bound.collect())
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
