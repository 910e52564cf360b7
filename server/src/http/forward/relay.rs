//! Streams a request to another daemon while its body arrives, and streams the answer back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::time::Instant;
use warp::reply::{Reply, Response};

use super::connect::Connect;
use super::head::{ForwardedHead, keep_end_to_end};
use crate::http::body::Body;

/// How long a transfer may stall on either side. A little longer than the daemon at the other end waits, so that its reply
/// reports the stall.
const STALL: Duration = Duration::from_secs(75);
/// How long the answer may take to a request that commits a path, which is verified and stored first.
const COMMIT: Duration = Duration::from_secs(3600);
/// Most idle connections that are kept to each daemon.
const IDLE_CONNECTIONS: usize = 16;
/// How long idle connections are kept. Shorter than the other end keeps them.
const IDLE: Duration = Duration::from_secs(30);

/// How long the other daemon may take to answer once it has the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// For a request that causes little work.
    Short,
    /// For a request that verifies and stores a NAR.
    Long,
}

/// Why a request could not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The other daemon cannot be reached or does not answer.
    #[error("the daemon that has the upload does not answer")]
    Owner,
    /// The client has not sent the whole body.
    #[error("{0}")]
    Body(String),
    /// The request cannot be written because the `node-url` of the other daemon is not a URL.
    #[error("a request could not be passed on: {0}")]
    Request(http::Error),
}

type SentBody = UnsyncBoxBody<Bytes, io::Error>;

/// Passes requests on.
pub struct Forwarder {
    client: Client<HttpsConnector<Connect>, SentBody>,
}

impl Forwarder {
    /// Passes requests on by HTTP, or by HTTPS with these settings: as the `node-url` of the other daemon says.
    pub fn new(https: ClientConfig) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        let connector = HttpsConnectorBuilder::new().with_tls_config(https).https_or_http().enable_http1();
        Self { client: builder.build(connector.wrap_connector(Connect::new())) }
    }

    /// Sends the request to the daemon at the URL `owner` and returns its answer, with any status.
    pub async fn forward(
        &self,
        owner: &str,
        head: ForwardedHead,
        body: Body,
        patience: Patience,
    ) -> Result<Response, ForwardError> {
        let progress = Arc::new(Progress::new(patience));
        let request = head.into_request(owner, watched(body, progress.clone()));
        let request = request.map_err(ForwardError::Request)?;
        let is_head = request.method() == Method::HEAD;
        let answer = tokio::select! {
            answer = self.client.request(request) => answer.map_err(|error| error.to_string()),
            () = progress.stalled() => Err("the transfer stalled".to_owned()),
        };
        match answer {
            Ok(answer) => Ok(relay(answer, is_head)),
            Err(_) if progress.is_broken() => Err(ForwardError::Body("the connection broke".to_owned())),
            Err(error) => {
                tracing::warn!(owner, %error, "could not pass on a request about an upload");
                Err(ForwardError::Owner)
            }
        }
    }
}

/// The progress of a body.
struct Progress {
    /// When its last piece was seen.
    last: Mutex<Instant>,
    ended: AtomicBool,
    /// Whether it broke off.
    broken: AtomicBool,
    patience: Patience,
}

impl Progress {
    fn new(patience: Patience) -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            ended: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            patience,
        }
    }

    fn note(&self) {
        *self.last.lock() = Instant::now();
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn deadline(&self) -> Instant {
        let limit = match self.patience {
            Patience::Long if self.ended.load(Ordering::Relaxed) => COMMIT,
            _ => STALL,
        };
        *self.last.lock() + limit
    }

    /// Waits until the transfer has stalled for too long.
    async fn stalled(&self) {
        while self.deadline() > Instant::now() {
            // In short steps, as the deadline changes when the body ends.
            tokio::time::sleep_until(self.deadline().min(Instant::now() + STALL)).await;
        }
    }
}

fn watched(body: Body, progress: Arc<Progress>) -> SentBody {
    let watch = Watch(progress);
    let pieces = body.map(move |piece| {
        watch.0.note();
        if piece.is_err() {
            watch.0.broken.store(true, Ordering::Relaxed);
        }
        piece.map(Frame::data).map_err(io::Error::other)
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Notes the end of a body when it is dropped. A body of known length is dropped once it is sent and never polled for its
/// end.
struct Watch(Arc<Progress>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.note();
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// Turns the answer of another daemon into ours.
fn relay(answer: http::Response<Incoming>, is_head: bool) -> Response {
    let (mut head, body) = answer.into_parts();
    keep_end_to_end(&mut head.headers);
    let mut response = if is_head {
        Response::default()
    } else {
        let pieces = stream::unfold(BodyDataStream::new(body), |mut body| async move {
            let piece = match tokio::time::timeout(STALL, body.next()).await {
                Ok(piece) => piece?.map_err(io::Error::other),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
            Some((piece, body))
        });
        warp::reply::stream(pieces).into_response()
    };
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}
