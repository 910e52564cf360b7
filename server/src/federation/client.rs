//! Requests to other nodes and to upstreams. Nodes serve their files themselves, so their redirects are not followed. Those
//! of configured upstreams are. Where both may lead is for `address_scope.rs` to say. Credentials go to the origin that they were
//! given for and nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, LOCATION, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::{HttpConnector, HttpInfo};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use peer_network::NodeId;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::timeout;
use traces::KeyValue;
use url::Url;

use super::PEER_HEADER;
use super::address_scope::{AddressScope, Resolver, find_forbidden};
use crate::chain::chain;
use crate::tls;

/// How long reaching a host may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long it may take to begin with an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a connection may be quiet before its other end is tested.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Idle connections that are kept to each host, and for how long: less than the other end keeps them.
const IDLE_CONNECTIONS: usize = 16;
const IDLE: Duration = Duration::from_secs(30);

/// Redirects that are followed, and how long all of them may take together.
const MOST_REDIRECTS: usize = 5;
const FOLLOW: Duration = Duration::from_secs(10);

/// Why there is no answer, for the log.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It is not a URL that can be asked for.
    #[error("the URL cannot be asked for")]
    Url(#[from] http::Error),
    /// The host cannot be reached, or the connection broke.
    #[error("{0}")]
    Connection(String),
    /// It takes too long.
    #[error("no answer in time")]
    Timeout,
    /// It redirects to where no redirect is followed.
    #[error("it redirects to where it may not lead: {0}")]
    Redirect(String),
    /// It is at an address that is not to be asked.
    #[error("it is where it may not be: {0}")]
    Address(String),
    /// What it wants to see is not there.
    #[error("no credentials for it: {0}")]
    Credentials(String),
    /// The answer is longer than anything that is expected.
    #[error("it answered with more than {0} bytes")]
    TooLong(usize),
    /// The answer has a `Content-Encoding` of no use.
    #[error("its answer is encoded {0}")]
    Encoding(String),
    /// There is no memory to unpack the answer at the moment.
    #[error("{0}")]
    Busy(String),
}

impl ClientError {
    /// A word for it that names neither address nor path.
    fn kind(&self) -> &'static str {
        match self {
            Self::Url(_) => "no URL",
            Self::Connection(_) => "connection",
            Self::Timeout => "timeout",
            Self::Redirect(_) => "redirect",
            Self::Address(_) => "address",
            Self::Credentials(_) => "credentials",
            Self::TooLong(_) => "too long",
            Self::Encoding(_) => "encoding",
            Self::Busy(_) => "busy",
        }
    }
}

/// Asks other caches.
pub struct Client {
    /// For hosts that the configuration names.
    direct: Http,
    /// For nodes of the network, which say by themselves where they are.
    nodes: Http,
    /// Where those may be.
    node_scope: AddressScope,
    /// For hosts that an upstream redirects to, by what they may be.
    redirected: Mutex<Vec<(AddressScope, Http)>>,
    tls: ClientConfig,
}

type Http = HyperClient<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;

/// What an upstream wants to see.
#[derive(Clone, Default)]
pub struct Access {
    /// Headers that go along.
    pub headers: HeaderMap,
    /// A client with a certificate.
    pub http: Option<HttpWithIdentity>,
}

/// A client whose connections show a certificate.
#[derive(Clone)]
pub struct HttpWithIdentity(Http);

impl Access {
    /// Makes a client that shows the certificate. Both are in PEM; the certificate may be followed by its chain. The server may be vouched
    /// for by the authorities in these files as well. Blocks.
    ///
    /// # Errors
    ///
    /// Which of them is of no use.
    pub fn http_with_identity(
        certificate: &str,
        key: &str,
        authorities: &[PathBuf],
    ) -> Result<HttpWithIdentity, String> {
        let certificates =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
        let certificates =
            certificates.ok_or_else(|| "client-certificate-file: it has no certificate in PEM".to_owned())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| "client-key-file: it has no private key in PEM".to_owned())?;
        let trusting = tls::trusting(authorities).map_err(|error| chain(&error))?;
        let tls = trusting
            .with_client_auth_cert(certificates, key)
            .map_err(|error| format!("client-certificate-file: {error}"))?;
        Ok(HttpWithIdentity(http_client(AddressScope::Anywhere, &tls)))
    }
}

impl Client {
    /// Makes a client that asks nodes of the network where `node_scope` lets them be.
    /// HTTPS has these settings.
    pub fn new(node_scope: AddressScope, tls: ClientConfig) -> Self {
        Self {
            direct: http_client(AddressScope::Anywhere, &tls),
            nodes: http_client(node_scope, &tls),
            node_scope,
            redirected: Mutex::default(),
            tls,
        }
    }

    /// Asks for `url` on a host that the configuration names. Redirects are not followed.
    pub async fn get(
        &self,
        url: &Url,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>, ClientError> {
        send(&self.direct, request_for(url, headers).body(Empty::new())?).await
    }

    /// Asks a node of the network for `url`; as the node `asker` if it is given. Redirects are not followed.
    pub async fn get_from_node(
        &self,
        url: &Url,
        asker: Option<NodeId>,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>, ClientError> {
        self.node_scope.check(url).map_err(|error| ClientError::Address(error.to_string()))?;
        let mut request = request_for(url, headers);
        if let Some(asker) = asker {
            request = request.header(PEER_HEADER, asker.to_string());
        }
        send(&self.nodes, request.body(Empty::new())?).await.map_err(|error| match error {
            ClientError::Redirect(cause) => ClientError::Address(cause),
            error => error,
        })
    }

    /// Asks an upstream for `url`, and follows its redirects to where they may lead. The headers go along, so they must not
    /// hold any secret; `access` goes to the origin of `url` alone. Each answer may take `patience` to begin, or the usual time if
    /// that is longer.
    pub async fn get_following(
        &self,
        url: &Url,
        headers: &[(&str, String)],
        access: &Access,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let followed = timeout(FOLLOW.max(patience), self.follow(url, headers, access, patience)).await;
        followed.map_err(|_| ClientError::Timeout)?
    }

    async fn follow(
        &self,
        url: &Url,
        headers: &[(&str, String)],
        access: &Access,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let patience = patience.max(ANSWER);
        let with_access = |url: &Url| {
            let mut request = request_for(url, headers).body(Empty::new())?;
            request.headers_mut().extend(access.headers.clone());
            Ok::<_, ClientError>(request)
        };
        let own = access.http.as_ref().map_or(&self.direct, |http| &http.0);
        let origin = url.origin();
        let mut answer = send_within(patience, own, with_access(url)?).await?;
        // Where it was reached, and not what its name says now.
        let address = answer.extensions().get::<HttpInfo>().map(|info| info.remote_addr().ip());
        let reach = AddressScope::of_redirects_from(address);
        let mut url = url.clone();
        for _ in 0..MOST_REDIRECTS {
            let Some(target) = redirect_of(&url, &answer)? else { return Ok(answer) };
            reach.check(&target).map_err(|error| ClientError::Redirect(error.to_string()))?;
            url = target;
            answer = if url.origin() == origin {
                send_within(patience, own, with_access(&url)?).await?
            } else {
                let request = request_for(&url, headers).body(Empty::new())?;
                send_within(patience, &self.within(reach), request).await?
            };
        }
        match redirect_of(&url, &answer)? {
            Some(_) => Err(ClientError::Redirect(format!("it redirects more than {MOST_REDIRECTS} times"))),
            None => Ok(answer),
        }
    }

    /// The client whose connections go no further than that. There are few kinds, and each keeps its own connections.
    fn within(&self, reach: AddressScope) -> Http {
        let mut clients = self.redirected.lock();
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == reach) {
            return client.clone();
        }
        let client = http_client(reach, &self.tls);
        clients.push((reach, client.clone()));
        client
    }
}

fn request_for(url: &Url, headers: &[(&str, String)]) -> http::request::Builder {
    let request = Request::get(url.as_str())
        .header(USER_AGENT, concat!("cache-server/", env!("CARGO_PKG_VERSION")))
        // What is promised is about the bytes as they are.
        .header(ACCEPT_ENCODING, "identity");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

async fn send(client: &Http, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, ClientError> {
    send_within(ANSWER, client, request).await
}

/// Sends a request in a span of its own, which the server at the other end is told of.
async fn send_within(
    patience: Duration,
    client: &Http,
    mut request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let uri = request.uri().clone();
    let attributes = || {
        let address = uri.authority().map_or("", Authority::host).to_owned();
        // Without the query, which may hold a signature.
        vec![KeyValue::new("server.address", address), KeyValue::new("url.path", uri.path().to_owned())]
    };
    let asking = async {
        traces::inject(request.headers_mut());
        let answer = exchange(patience, client, request).await;
        match &answer {
            Ok(answer) => traces::note("http.response.status_code", i64::from(answer.status().as_u16())),
            Err(error) => traces::fail(error.kind()),
        }
        answer
    };
    traces::ask("GET", attributes, asking).await
}

async fn exchange(
    patience: Duration,
    client: &Http,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let answer = timeout(patience, client.request(request)).await;
    answer.map_err(|_| ClientError::Timeout)?.map_err(|error| {
        if let Some(forbidden) = find_forbidden(&error) {
            return ClientError::Redirect(forbidden.to_string());
        }
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        ClientError::Connection(cause.unwrap_or_else(|| error.to_string()))
    })
}

/// Where the answer redirects to, if it does.
fn redirect_of(url: &Url, answer: &Response<Incoming>) -> Result<Option<Url>, ClientError> {
    let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if !is_redirect {
        return Ok(None);
    }
    let bad = || ClientError::Redirect("it redirects to what is no URL for HTTP".to_owned());
    let location = answer.headers().get(LOCATION).ok_or_else(bad)?;
    let mut target = location.to_str().ok().and_then(|to| url.join(to).ok()).ok_or_else(bad)?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(bad());
    }
    target.set_fragment(None);
    // Credentials in a URL of somebody else are not ours to use.
    target.set_username("").and_then(|()| target.set_password(None)).map_err(|()| bad())?;
    Ok(Some(target))
}

/// The whole body, if it is not longer than `limit`.
pub async fn read_body(answer: Response<Incoming>, limit: usize) -> Result<Bytes, ClientError> {
    let body = timeout(ANSWER, Limited::new(answer.into_body(), limit).collect()).await;
    let body = body.map_err(|_| ClientError::Timeout)?;
    let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => ClientError::TooLong(limit),
        None => ClientError::Connection(error.to_string()),
    })?;
    Ok(body.to_bytes())
}

fn http_client(reach: AddressScope, tls: &ClientConfig) -> Http {
    let mut tcp = HttpConnector::new_with_resolver(Resolver(reach));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone());
    let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
    let mut client = HyperClient::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_CONNECTIONS);
    client.build(connector)
}
