//! Requests to providers: short, small, and never redirected.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tokio::time::timeout;
use url::{Host, Url};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long all of a request may take.
const ALL: Duration = Duration::from_secs(5);
/// Largest document in bytes.
const MOST: usize = 512 << 10;

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not a URL that may be asked.
    #[error("{0} is no URL of HTTPS")]
    Url(String),
    /// The request cannot be written.
    #[error("the URL cannot be asked for")]
    Request(#[from] http::Error),
    /// The provider cannot be reached, or the connection broke.
    #[error("{url} cannot be reached: {reason}")]
    Connection {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// It takes too long.
    #[error("{0} does not answer in time")]
    Timeout(String),
    /// It answers with something else.
    #[error("{url} answers with {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status of the answer.
        status: StatusCode,
    },
    /// It is not the document that was expected.
    #[error("it is not the document with the {0} of a provider")]
    Document(&'static str),
    /// The document is of another provider.
    #[error("the document there is of the issuer {0:?}")]
    Issuer(String),
}

/// Asks providers.
#[derive(Clone)]
pub struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetcher {
    /// HTTPS has these settings.
    pub fn new(https: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new().with_tls_config(https).https_or_http().enable_http1();
        let mut client = Client::builder(TokioExecutor::new());
        // Providers are asked once an hour.
        client.pool_max_idle_per_host(0);
        Self { client: client.build(connector.wrap_connector(tcp)) }
    }

    /// Fetches a document.
    pub async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let parsed = Url::parse(url).ok().filter(may_be_asked);
        let Some(parsed) = parsed else { return Err(FetchError::Url(url.chars().take(200).collect())) };
        let url = || parsed.to_string();
        timeout(ALL, self.request(&parsed)).await.map_err(|_| FetchError::Timeout(url()))?
    }

    async fn request(&self, url: &Url) -> Result<Bytes, FetchError> {
        let request = Request::get(url.as_str())
            .header(USER_AGENT, concat!("cache-server/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .body(Empty::new())?;
        let failed = |reason: String| FetchError::Connection { url: url.to_string(), reason };
        let answer = self.client.request(request).await.map_err(|error| failed(error.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.to_string(), status: answer.status() });
        }
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        Ok(body.map_err(|error| failed(error.to_string()))?.to_bytes())
    }
}

/// Documents that anybody on the way could change are worth nothing.
fn may_be_asked(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}
