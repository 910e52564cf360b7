//! Requests to other nodes and to upstreams. Redirects are not followed: a cache that could send us elsewhere could make us
//! ask what only we can reach.

use std::io;
use std::time::Duration;

use ::federation::NodeId;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use url::Url;

use super::PEER_HEADER;

/// How long reaching a host may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long it may take to begin with an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a connection may be quiet before its other end is tested.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Idle connections that are kept to each host, and for how long: less than the other end keeps them.
const IDLE_CONNECTIONS: usize = 16;
const IDLE: Duration = Duration::from_secs(30);

/// Why there is no answer, for the log.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It is not a URL that can be asked for.
    #[error("the URL cannot be asked for: {0}")]
    Url(#[from] http::Error),
    /// The host cannot be reached, or the connection broke.
    #[error("{0}")]
    Connection(String),
    /// It takes too long.
    #[error("no answer in time")]
    Timeout,
}

/// Asks other caches.
pub struct Client {
    hyper: HyperClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Client {
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEPALIVE));
        let provider = rustls::crypto::ring::default_provider();
        let builder = match HttpsConnectorBuilder::new().with_provider_and_native_roots(provider) {
            Ok(builder) => builder,
            Err(error) => {
                tracing::debug!(%error, "this system trusts nobody for HTTPS");
                HttpsConnectorBuilder::new().with_tls_config(trusting_nobody())
            }
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let mut client = HyperClient::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_CONNECTIONS);
        Self { hyper: client.build(connector) }
    }

    /// Asks for `url`; as a node of the network if `node` is given.
    pub async fn get(&self, url: &Url, node: Option<NodeId>) -> Result<Response<Incoming>, ClientError> {
        self.get_with(url, node, &[]).await
    }

    /// The same, with more headers.
    pub async fn get_with(
        &self,
        url: &Url,
        node: Option<NodeId>,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::get(url.as_str())
            .header(USER_AGENT, concat!("cache-server/", env!("CARGO_PKG_VERSION")))
            // What is promised is about the bytes as they are.
            .header(ACCEPT_ENCODING, "identity");
        if let Some(node) = node {
            request = request.header(PEER_HEADER, node.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = timeout(ANSWER, self.hyper.request(request.body(Empty::new())?)).await;
        answer.map_err(|_| ClientError::Timeout)?.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            ClientError::Connection(cause.unwrap_or_else(|| error.to_string()))
        })
    }
}

/// The whole body, if it is not longer than `limit`.
pub async fn read_body(answer: Response<Incoming>, limit: usize) -> Result<Bytes, ClientError> {
    let body = timeout(ANSWER, Limited::new(answer.into_body(), limit).collect()).await;
    let body = body.map_err(|_| ClientError::Timeout)?;
    Ok(body.map_err(|error| ClientError::Connection(error.to_string()))?.to_bytes())
}

fn trusting_nobody() -> ClientConfig {
    let provider = rustls::crypto::ring::default_provider();
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)
        .expect("ring has all protocol versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
