//! Connections with TLS: the handshake, and HTTP/2.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Either;
use hyper::body::{Body, Incoming};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

use super::edge;
use super::serve::{Graceful, HEADER_TIMEOUT, REFUSAL_TIMEOUT, drive, failure, refuse, until_end};
use super::streams::{StreamLimits, Streams};
use super::watched::Watched;
use crate::chain::chain;
use crate::limits::connections::Place;
use crate::tls::ClientCertificate;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The first byte of a handshake: the type of its first record (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// Said to a client of plain HTTP.
const NOT_PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n\
    Content-Length: 44\r\nConnection: close\r\n\r\nthis port speaks HTTPS: write https:// here\n";

/// Requests of one connection at a time. Nix sends 25 unless it is told otherwise.
const MOST_STREAMS: u32 = 128;
/// Most bytes of the headers of a request.
const HEADERS: u32 = 32 << 10;
/// Bytes of a body that a client may send ahead of what is read, for each request and for all of a connection.
const WINDOWS: (u32, u32) = (64 << 10, 128 << 10);
/// The same where there is memory for it: an upload over a line of 50 ms then gets 40 MB/s.
const WIDE_WINDOWS: (u32, u32) = (2 << 20, 2 << 20);
/// Bytes of a reply that are buffered for a client that reads slowly.
const SEND_BUFFER: usize = 64 << 10;
/// How often the other end is tested while requests are under way, and how long it may take to respond.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(30));

/// A connection after its handshake.
pub(super) enum Secured {
    /// The client wants HTTP/1.1.
    Http1(TlsStream<TcpStream>),
    /// The client wants HTTP/2.
    Http2(TlsStream<TcpStream>),
}

/// Does the handshake, and notes the certificate of the client if it has one. `None` if it fails or takes too long, or if the place is needed for another connection.
pub(super) async fn handshake(
    mut stream: TcpStream,
    settings: Arc<ServerConfig>,
    certificate: &OnceLock<Arc<ClientCertificate>>,
    place: &Place,
    ending: &CancellationToken,
) -> Option<Secured> {
    let shaking = async {
        let mut first = [0];
        if stream.peek(&mut first).await.is_ok_and(|read| read > 0) && first[0] != HANDSHAKE_RECORD {
            let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(&mut stream, NOT_PLAIN)).await;
            return None;
        }
        match TlsAcceptor::from(settings).accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "a client could not agree on TLS");
                None
            }
        }
    };
    let stream = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE, shaking) => shaken.ok().flatten()?,
        () = place.connection().evicted() => return None,
        () = until_end(ending, place.connection()) => return None,
    };
    place.connection().has_moved();
    let session = stream.get_ref().1;
    let presented = session.peer_certificates().and_then(|chain| ClientCertificate::parse(chain.first()?));
    if let Some(presented) = presented {
        let _ = certificate.set(Arc::new(presented));
    }
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Some(if is_http2 { Secured::Http2(stream) } else { Secured::Http1(stream) })
}

/// Serves a connection of HTTP/2 until its client or this daemon ends it.
pub(super) async fn serve_http2<A, F>(
    stream: TlsStream<TcpStream>,
    limits: &StreamLimits,
    answer: A,
    place: Place,
    ending: CancellationToken,
) where
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let streams = Streams::new(place.connection().clone(), limits.clone());
    let stream = Watched::binary(stream, place.connection().clone());
    let of_connection = streams.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        edge::name_host(&mut request);
        let is_head = request.method() == Method::HEAD;
        let begun = of_connection.begin().map(|stream| (stream, answer(request)));
        async move {
            Ok::<_, Infallible>(match begun {
                Some((_, answer)) if is_head => without_body(answer.await?).map(Either::Right),
                Some((stream, answer)) => answer.await?.map(|body| Either::Left(stream.send(body))),
                None => refusal().map(Either::Right),
            })
        }
    });
    let wide = limits.widen();
    let (of_stream, of_connection) = if wide.is_some() { WIDE_WINDOWS } else { WINDOWS };
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(of_stream)
        .initial_connection_window_size(of_connection)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    drive(connection, place, ending, streams.idled(HEADER_TIMEOUT)).await;
    drop(wide);
}

impl<S, V, B, E> Graceful for http2::Connection<TokioIo<S>, V, E>
where
    Self: Future<Output = hyper::Result<()>> + Send,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    V: HttpService<Incoming, ResBody = B>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<V::Future, B>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A reply of which only the head is wanted. For HTTP/1.1 the connection leaves the body out by itself.
fn without_body(reply: Response) -> Response {
    let (mut head, body) = reply.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(head, Response::default().into_body())
}

/// The reply to a request for which there is no room. Clients try it again.
fn refusal() -> Response {
    let mut response = failure(StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    edge::protect(&mut response);
    response
}
