//! HTTPS requests to a server that the user names.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::error::PushError;

/// How long reaching the server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: less than servers keep theirs.
const IDLE: Duration = Duration::from_secs(20);
/// The slowest uplink on which a body is still waited for, in bytes per second.
const SLOWEST: u64 = 16 << 10;
/// Most bytes of an answer: a list of 100,000 hashes has fewer.
const MOST_ANSWER: usize = 16 << 20;
/// Most characters of an explanation that are shown.
const MOST_REASON: usize = 500;
/// The longest wait that a server may ask for.
const MOST_WAIT: Duration = Duration::from_secs(120);

/// A request that can be sent again.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it does, for errors: `the upload of a part`.
    pub what: &'static str,
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Headers besides the usual ones.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether the token goes along.
    pub is_authorized: bool,
    /// How much longer than usual the server may take for it.
    pub grace: Duration,
}

/// The answer to a request that succeeded.
#[derive(Debug)]
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// An HTTP client with a pool of connections.
#[derive(Debug)]
pub struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    authorization: Option<HeaderValue>,
    /// How long an answer may take, besides the time that the body of the request needs.
    patience: Duration,
}

impl Client {
    /// Makes a client that sends the token, if there is one.
    ///
    /// # Errors
    ///
    /// If the token cannot be part of a header.
    pub fn new(token: Option<&str>, patience: Duration) -> Result<Self, PushError> {
        let header = |token: &str| {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| PushError::Secret {
                    what: "token",
                    from: "the netrc file".to_owned(),
                    reason: "it has characters that a token never has".to_owned(),
                })?;
            value.set_sensitive(true);
            Ok(value)
        };
        let authorization = token.map(header).transpose()?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls_config());
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let mut client = HyperClient::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Ok(Self { http: client.build(connector), authorization, patience })
    }

    /// Whether there is a token to send.
    pub fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Sends a request once.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that is not a success.
    pub async fn send(&self, call: &Call) -> Result<Answer, PushError> {
        let server = origin(&call.url);
        let malformed = |reason: String| PushError::Malformed { server: server.clone(), reason };
        let mut request = Request::builder()
            .method(&call.method)
            .uri(call.url.as_str())
            .header(USER_AGENT, concat!("cachectl/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = self.authorization.as_ref().filter(|_| call.is_authorized) {
            request = request.header(AUTHORIZATION, authorization);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request =
            request.body(Full::new(call.body.clone())).map_err(|error| malformed(error.to_string()))?;
        let waited = self.patience + call.grace + Duration::from_secs(call.body.len() as u64 / SLOWEST);
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let reason = cause.unwrap_or_else(|| error.to_string());
                PushError::Connection { server: server.clone(), reason }
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MOST_ANSWER).collect().await.map_err(|error| {
                PushError::Connection { server: server.clone(), reason: error.to_string() }
            })?;
            Ok((head, body.to_bytes()))
        };
        let answered = tokio::time::timeout(waited, exchange).await;
        let (head, body) = answered.map_err(|_| PushError::Timeout { server: server.clone(), waited })??;
        if head.status.is_success() {
            return Ok(Answer { headers: head.headers, body });
        }
        let reason = String::from_utf8_lossy(&body);
        let reason: String = reason.trim().chars().take(MOST_REASON).collect();
        let reason = if reason.is_empty() { "no explanation was given".to_owned() } else { reason };
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Err(PushError::Refused {
            what: call.what.to_owned(),
            status: head.status,
            reason,
            retry_after: retry_after.map(Duration::from_secs).map(|wait| wait.min(MOST_WAIT)),
        })
    }
}

impl Call {
    /// A request with the token and a JSON body.
    pub fn json(what: &'static str, url: Url, body: &serde_json::Value) -> Self {
        let headers = vec![(CONTENT_TYPE.as_str(), "application/json".to_owned())];
        let body = Bytes::from(body.to_string());
        Self { what, method: Method::POST, url, headers, body, is_authorized: true, grace: Duration::ZERO }
    }
}

/// Scheme, host and port of a URL: what an error names, without a query, which may hold a signature.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn tls_config() -> ClientConfig {
    let builder = || {
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)
            .expect("ring has all protocol versions")
    };
    match builder().with_native_roots() {
        Ok(builder) => builder.with_no_client_auth(),
        // A machine without certificates of authorities can still push over HTTP.
        Err(_) => builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    }
}
