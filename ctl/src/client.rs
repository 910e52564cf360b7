//! Asks the daemon.

use std::path::PathBuf;
use std::time::Duration;

use admin_api::{
    API_VERSION, ApiError, CacheInfo, CacheSummary, CreateToken, CreatedToken, PathInfo, Status, TokenInfo,
    VERSION_HEADER, routes,
};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::error::Error;
use crate::socket;

/// No answer may be larger, so that whatever listens on the socket cannot fill the memory.
pub const MAX_REPLY_BYTES: usize = 64 << 20;

/// The daemon behind one of some sockets.
#[derive(Debug)]
pub struct Client {
    /// Where the socket may be, the likeliest first.
    pub candidates: Vec<PathBuf>,
    /// How long one request may take, connecting included.
    pub timeout: Duration,
}

impl Client {
    /// `GET /v1/status`
    pub async fn status(&self) -> Result<Status, Error> {
        let reply = self.exchange(Method::GET, routes::STATUS, Bytes::new()).await?;
        // Before the rest, which a daemon of another version may well write differently.
        if let Ok(stated) = reply.decode::<StatedVersion>() {
            reply.call.check_version(stated.api_version)?;
        }
        reply.decode()
    }

    /// `GET /v1/caches`
    pub async fn caches(&self) -> Result<Vec<CacheSummary>, Error> {
        self.get(routes::CACHES).await
    }

    /// `GET /v1/caches/NAME`
    pub async fn cache(&self, name: &str) -> Result<CacheInfo, Error> {
        self.get(&routes::cache(name)).await
    }

    /// `GET /v1/caches/NAME/paths/HASH`
    pub async fn path(&self, cache: &str, store_hash: &str) -> Result<PathInfo, Error> {
        self.get(&routes::path(cache, store_hash)).await
    }

    /// `GET /v1/tokens`
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, Error> {
        self.get(routes::TOKENS).await
    }

    /// `POST /v1/tokens`
    pub async fn create_token(&self, token: &CreateToken) -> Result<CreatedToken, Error> {
        self.post(routes::TOKENS, Some(token)).await
    }

    /// `POST /v1/tokens/ID/revoke`
    pub async fn revoke_token(&self, id: &str) -> Result<TokenInfo, Error> {
        self.post(&routes::revoke_token(id), None::<&()>).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.exchange(Method::GET, path, Bytes::new()).await?.decode()
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&impl Serialize>) -> Result<T, Error> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).expect("requests are plain data").into(),
            None => Bytes::new(),
        };
        self.exchange(Method::POST, path, body).await?.decode()
    }

    /// Sends one request, on a connection of its own, and takes the whole answer.
    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Reply, Error> {
        // Outside the time limit: connecting to a Unix socket succeeds or fails at once.
        let (socket, stream) = socket::connect(&self.candidates).await?;
        let call = Call { socket, request: format!("{method} {path}") };
        match tokio::time::timeout(self.timeout, call.run(stream, method, path, body)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(Error::Timeout { socket: call.socket, waited: self.timeout }),
        }
    }
}

/// A request under way, in the words of its errors.
#[derive(Clone)]
struct Call {
    /// The socket it went to.
    socket: PathBuf,
    /// Method and path.
    request: String,
}

impl Call {
    async fn run(&self, stream: UnixStream, method: Method, path: &str, body: Bytes) -> Result<Reply, Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(VERSION_HEADER, API_VERSION)
            .body(Full::new(body))
            .expect("paths and headers are made of valid characters");

        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.broken_off(e))?;
        // Its failures reach the sender and the body as well.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|e| self.broken_off(e))?;
        let (head, body) = response.into_parts();

        if let Some(stated) = head.headers.get(VERSION_HEADER) {
            let stated = stated.to_str().ok().and_then(|text| text.parse().ok());
            self.check_version(
                stated
                    .ok_or_else(|| self.malformed(format!("its header {VERSION_HEADER} is not a number")))?,
            )?;
        }
        let reply = Reply { call: self.clone(), body: self.collect(body).await? };
        if head.status.is_success() {
            return Ok(reply);
        }
        match serde_json::from_slice::<ApiError>(&reply.body) {
            Ok(error) => Err(Error::Daemon(error)),
            Err(_) => Err(Error::Unexplained { request: self.request.clone(), status: head.status }),
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Error> {
        match Limited::new(body, MAX_REPLY_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(self.broken_off(*error)),
                // The only other error of `Limited` is that of its limit.
                Err(_) => Err(Error::TooLarge { request: self.request.clone() }),
            },
        }
    }

    fn check_version(&self, daemon: u32) -> Result<(), Error> {
        if daemon == API_VERSION {
            return Ok(());
        }
        Err(Error::Version { socket: self.socket.clone(), daemon })
    }

    fn broken_off(&self, source: hyper::Error) -> Error {
        Error::BrokenOff { socket: self.socket.clone(), source }
    }

    fn malformed(&self, reason: String) -> Error {
        Error::Malformed { request: self.request.clone(), reason }
    }
}

/// The body of an answer that reports success.
struct Reply {
    call: Call,
    body: Bytes,
}

impl Reply {
    fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|e| self.call.malformed(e.to_string()))
    }
}

/// As much of a [`Status`] as every version of the API has.
#[derive(Deserialize)]
struct StatedVersion {
    api_version: u32,
}
