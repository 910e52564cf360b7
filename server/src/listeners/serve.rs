//! Accepts connections and serves a warp filter on them.
//!
//! Warp's own server hides the settings that matter here (header timeout, connection limit, socket options), so the
//! same filters run as a service on hyper's connection builder.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::edge;
use super::front::Front;
use super::shortcut::Shortcut;
use super::watched::{ReplyBody, Upgraded, Watched};
use crate::chain::chain;
use crate::limits::client_address::PeerAddress;
use crate::limits::connections::{Connections, Peer, Place};
use crate::request_id::request_id;

/// How long a client may take to send a request head, the idle time between two requests included.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long sent bytes may stay unacknowledged before the kernel gives the connection up. A client that stops reading
/// must not hold buffers for ever.
const UNACKNOWLEDGED_TIMEOUT_MS: u32 = 300_000;
/// Most bytes of a request head, and most that are read ahead of a body. Every connection may hold as many.
const READ_BUFFER: usize = 64 << 10;
/// How long an evicted connection that has served requests may take to close.
pub(super) const EVICTION: Duration = Duration::from_secs(1);
/// Most connections to the admin socket at once.
const MOST_ADMINS: usize = 64;
/// Pause after a failed `accept`, which is nearly always a lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// How long a refused connection may take to hear why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Said to a connection over the limit, without parsing its request.
const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Type: text/plain\r\n\
    X-Content-Type-Options: nosniff\r\nContent-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";

/// All routes of one listener.
pub type Routes = BoxedFilter<(Response,)>;

/// What is served on a listener.
pub struct Served {
    /// The routes.
    pub routes: Routes,
    /// What answers plain requests in front of them.
    pub shortcut: Option<Arc<dyn Shortcut>>,
}

impl From<Routes> for Served {
    fn from(routes: Routes) -> Self {
        Self { routes, shortcut: None }
    }
}

/// A listening socket of either kind.
pub enum Listener {
    /// API, cache and deploy ports.
    Tcp(TcpListener),
    /// The admin socket.
    Unix(UnixListener),
}

/// What every listener of the daemon shares.
#[derive(Clone)]
pub struct ConnectionLimits {
    clients: Arc<Connections>,
    /// The operator gets through however many clients there are.
    admins: Arc<Connections>,
    stopping: watch::Receiver<bool>,
}

impl ConnectionLimits {
    /// `max` connections at once over all ports; `stopping` turns true when the daemon drains.
    pub fn new(max: u32, stopping: watch::Receiver<bool>) -> Self {
        Self {
            clients: Arc::new(Connections::new(max as usize)),
            admins: Arc::new(Connections::new(MOST_ADMINS)),
            stopping,
        }
    }

    /// How many connections of clients are open.
    pub fn clients(&self) -> usize {
        self.clients.open()
    }

    /// Whether the daemon drains.
    pub fn is_draining(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// Serves until the daemon drains or this listener is to `close`, then waits for what is under way. The listening
/// socket is closed first, so that nothing new arrives meanwhile.
pub async fn serve(listener: Listener, served: Served, limits: ConnectionLimits, close: CancellationToken) {
    let Served { routes, shortcut } = served;
    let (connections, ending) = (TaskTracker::new(), CancellationToken::new());
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(READ_BUFFER);
    let front = |shortcut| Front { shortcut, builder: builder.clone(), ending: ending.clone() };
    let front = shortcut.map(front).map(Arc::new);
    let mut stopping = limits.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
            () = close.cancelled() => break,
        };
        match accepted {
            Ok(Accepted::Tcp(stream, peer)) => match limits.clients.admit(Peer::of(peer)) {
                Some(place) => {
                    let answer = answer_to(routes.clone(), peer);
                    match front.clone() {
                        Some(front) => drop(connections.spawn(async move {
                            front.serve(stream, place.connection(), answer).await;
                        })),
                        None => spawn_connection(stream, &builder, answer, place, &ending, &connections),
                    }
                }
                None => spawn_refusal(stream),
            },
            Ok(Accepted::Unix(stream)) => match limits.admins.admit(None) {
                Some(place) => {
                    let uid = stream.peer_cred().map(|peer| peer.uid()).ok();
                    let routes = routes.clone();
                    let answer = move |mut request: Request<Incoming>| {
                        log_change(uid, &request);
                        request.extensions_mut().insert(PeerUser(uid));
                        answer(&routes, request)
                    };
                    spawn_connection(stream, &builder, answer, place, &ending, &connections);
                }
                None => spawn_refusal(stream),
            },
            Err(error) => {
                tracing::warn!(error = %chain(&error), "could not accept a connection");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    drop(listener);
    ending.cancel();
    connections.close();
    connections.wait().await;
}

enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Replies are written whole; waiting for more to send only adds delay.
            stream.set_nodelay(true)?;
            sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED_TIMEOUT_MS)?;
            Ok(Accepted::Tcp(stream, address.ip()))
        }
        Listener::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
    }
}

/// Who asked for a change, for the log. Whoever only looks is not of interest.
fn log_change(uid: Option<u32>, request: &Request<Incoming>) {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        tracing::info!(uid, request = request.uri().path(), "asked on the admin socket");
    }
}

fn spawn_connection<S, A, F>(
    stream: S,
    builder: &http1::Builder,
    answer: A,
    place: Place,
    ending: &CancellationToken,
    connections: &TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let upgraded = Upgraded::default();
    let stream = Watched::new(stream, place.connection().clone(), upgraded.clone());
    let state = place.connection().clone();
    let service = service_fn(move |request| {
        state.has_request();
        let (answer, state, upgraded) = (answer(request), state.clone(), upgraded.clone());
        async move {
            let reply = answer.await?;
            upgraded.note(&reply);
            Ok::<_, Infallible>(reply.map(|body| ReplyBody::new(body, state)))
        }
    });
    // What becomes a websocket is not a connection of ours any more: `Deploy` closes it.
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let ending = ending.clone();
    connections.spawn(async move {
        let state = place.connection();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = state.evicted() => {
                // A request that arrived at this very moment is answered still, and so are those that were not read to
                // their end.
                if !state.is_new() {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(EVICTION, connection).await;
                }
                return;
            }
            () = ending.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = %chain(&error), "connection ended early");
        }
    });
}

/// Tells a client that there is no place for it.
fn spawn_refusal(mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(&mut stream)).await;
    });
}

/// Returns what answers the requests of a client.
fn answer_to(
    routes: Routes,
    peer: IpAddr,
) -> impl Fn(Request<Incoming>) -> BoxFuture<'static, Result<Response, Infallible>> + Clone + Send {
    move |mut request| {
        request.extensions_mut().insert(PeerAddress(peer));
        let answering = if edge::is_ambiguous(&request) { None } else { Some(answer(&routes, request)) };
        let protected = async move {
            let mut response = match answering {
                Some(answer) => answer.await?,
                None => edge::refusal(),
            };
            edge::protect(&mut response);
            Ok(response)
        };
        protected.boxed()
    }
}

/// A handler that panics is a bug; it costs its client a 500 and nobody else anything.
fn answer(
    routes: &Routes,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let version = request.version();
    let answer = warp::service(routes.clone()).call(request);
    AssertUnwindSafe(answer).catch_unwind().map(move |result| {
        let result = result.map(|answer| answer.map(|answer| refuse_unmeasured(version, answer)));
        result.unwrap_or_else(|_| {
            let request_id = request_id();
            tracing::error!(request_id, "a request handler panicked");
            let message = format!("the server failed to answer; try again later (request {request_id})");
            Ok(failure(StatusCode::INTERNAL_SERVER_ERROR, &message))
        })
    })
}

/// The user at the other end of the admin socket; `None` if the system does not tell.
#[derive(Clone, Copy, Debug)]
pub struct PeerUser(pub Option<u32>);

/// Marks a reply whose length is not known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct UnknownLength;

/// A client of HTTP/1.0 takes the end of the connection for the end of such a reply, also where it broke off.
fn refuse_unmeasured(version: Version, answer: Response) -> Response {
    if version >= Version::HTTP_11 || answer.extensions().get::<UnknownLength>().is_none() {
        return answer;
    }
    let reason = "the length of this file is not known beforehand: ask for it with HTTP/1.1 \
                  (in nginx: proxy_http_version 1.1)";
    failure(StatusCode::HTTP_VERSION_NOT_SUPPORTED, reason)
}

/// Returns a reply that says in plain text why there is no other.
pub fn failure(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(format!("{message}\n").into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // A moment later the file may exist or the request be permitted.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Closing a socket with unread bytes resets it and may destroy the reply on its way, so the request is read first.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await?;
    stream.write_all(OVERLOADED).await?;
    stream.shutdown().await
}
