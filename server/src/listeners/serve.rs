//! Accepts connections and serves a warp filter on them.
//!
//! Warp's own server hides the settings that matter here (header timeout, connection limit, socket options), so the
//! same filters run as a service on hyper's connection builder.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::front::Front;
use super::secure::{self, Secured};
use super::shortcut::Shortcut;
use super::streams::StreamLimits;
use super::watched::{ReplyBody, Upgraded, Watched};
use super::{Entrance, edge, identity};
use crate::chain::chain;
use crate::core::Core;
use crate::limits::client_address::PeerAddress;
use crate::limits::connections::{ARRIVAL, Connection, Connections, Peer, Place};
use crate::request_id::request_id;
use crate::tls::ClientCertificate;

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
pub(super) const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
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
    /// What HTTP/2 may take beyond a connection.
    pub(super) streams: StreamLimits,
}

impl ConnectionLimits {
    /// `max` connections at once over all ports; `stopping` turns true when the daemon drains.
    pub fn new(max: u32, stopping: watch::Receiver<bool>) -> Self {
        Self {
            clients: Arc::new(Connections::new(max as usize)),
            admins: Arc::new(Connections::new(MOST_ADMINS)),
            stopping,
            streams: StreamLimits::new(max as usize),
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
pub async fn serve(
    listener: Listener,
    served: Served,
    limits: ConnectionLimits,
    security: Security,
    close: CancellationToken,
) {
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
                    let (routes, core) = (routes.clone(), security.core.clone());
                    match security.settings() {
                        None => {
                            let answer = move |request| answer_client(&core, &routes, request, peer, None);
                            match front.clone() {
                                Some(front) => drop(connections.spawn(async move {
                                    front.serve(stream, place.connection(), answer).await;
                                })),
                                None => {
                                    spawn_connection(stream, &builder, answer, place, &ending, &connections)
                                }
                            }
                        }
                        Some(settings) => {
                            let certificate = Arc::new(OnceLock::new());
                            let presented = certificate.clone();
                            let answer = move |request| {
                                let certificate = presented.get().cloned();
                                answer_client(&core, &routes, request, peer, certificate)
                            };
                            let (builder, ending) = (builder.clone(), ending.clone());
                            let streams = limits.streams.clone();
                            connections.spawn(async move {
                                let secured =
                                    secure::handshake(stream, settings, &certificate, &place, &ending).await;
                                match secured {
                                    None => {}
                                    Some(Secured::Http1(stream)) => {
                                        serve_http1(stream, &builder, answer, place, ending).await;
                                    }
                                    Some(Secured::Http2(stream)) => {
                                        secure::serve_http2(stream, &streams, answer, place, ending).await;
                                    }
                                }
                            });
                        }
                    }
                }
                // What is said in plain HTTP would not be understood.
                None if security.settings().is_some() => drop(stream),
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

/// Whether the clients of a listener have to speak TLS.
pub struct Security {
    core: Arc<Core>,
    entrance: Entrance,
}

impl Security {
    /// What is in force for this entrance at the time of each connection.
    pub fn new(core: Arc<Core>, entrance: Entrance) -> Self {
        Self { core, entrance }
    }

    fn settings(&self) -> Option<Arc<ServerConfig>> {
        match self.entrance {
            Entrance::Api => self.core.tls.of_server(),
            Entrance::Cache(port) => self.core.tls.of_port(port),
            Entrance::Admin | Entrance::Metrics => None,
        }
    }
}

/// Answers a request that came from this address, from a client with this certificate.
fn answer_client(
    core: &Arc<Core>,
    routes: &Routes,
    mut request: Request<Incoming>,
    peer: IpAddr,
    certificate: Option<Arc<ClientCertificate>>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    request.extensions_mut().insert(PeerAddress(peer));
    let answering = if edge::is_ambiguous(&request) {
        Either::Left(ready(Ok(edge::refusal())))
    } else {
        match identity::prepare(core, &mut request, peer, certificate) {
            // Nearly always: the future stays small.
            None => Either::Right(Either::Left(answer(routes, request))),
            Some(preparing) => {
                let routes = routes.clone();
                let answering = async move {
                    preparing.finish(&mut request).await;
                    answer(&routes, request).await
                };
                Either::Right(Either::Right(answering.boxed()))
            }
        }
    };
    answering.map(|answered| {
        answered.map(|mut response| {
            edge::protect(&mut response);
            response
        })
    })
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
    connections.spawn(serve_http1(stream, builder, answer, place, ending.clone()));
}

/// Serves a connection until its client or this daemon ends it.
fn serve_http1<S, A, F>(
    stream: S,
    builder: &http1::Builder,
    answer: A,
    place: Place,
    ending: CancellationToken,
) -> impl Future<Output = ()> + Send + use<S, A, F>
where
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
    drive(connection, place, ending, std::future::pending())
}

/// A connection that can be told to end with the requests that are under way.
pub(super) trait Graceful: Future<Output = hyper::Result<()>> + Send {
    /// Takes no more requests.
    fn end(self: Pin<&mut Self>);
}

impl<S, V, B> Graceful for http1::UpgradeableConnection<TokioIo<S>, V>
where
    Self: Future<Output = hyper::Result<()>> + Send,
    S: AsyncRead + AsyncWrite + Unpin,
    V: HttpService<Incoming, ResBody = B>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection until it ends, has to make room for another one, has idled for too long, or the daemon drains.
pub(super) async fn drive(
    connection: impl Graceful,
    place: Place,
    ending: CancellationToken,
    idled: impl Future<Output = ()> + Send,
) {
    let state = place.connection();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = state.evicted() => {
            // A request that arrived at this very moment is answered still, and so are those that were not read to
            // their end.
            if !state.is_new() {
                connection.as_mut().end();
                let _ = tokio::time::timeout(EVICTION, connection).await;
            }
            return;
        }
        () = until_end(&ending, state) => None,
        () = idled => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().end();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %chain(&error), "connection ended early");
    }
}

/// Resolves when a connection of a closed listener has to end. A new one is given time for the request that may be on its way: its
/// client has connected in good faith, and does not ask again when it is cut off without a word.
pub(super) async fn until_end(ending: &CancellationToken, connection: &Connection) {
    ending.cancelled().await;
    if connection.may_begin() {
        tokio::time::sleep(ARRIVAL).await;
    }
}

/// Tells a client that there is no place for it.
fn spawn_refusal(mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(&mut stream, OVERLOADED)).await;
    });
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
pub(super) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    reply: &[u8],
) -> io::Result<()> {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await?;
    stream.write_all(reply).await?;
    stream.shutdown().await
}
