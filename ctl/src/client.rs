//! Asks the daemon.

mod events;

use std::path::PathBuf;
use std::time::Duration;

use admin_api::{
    API_VERSION, ApiError, CacheInfo, CacheSummary, CreateToken, CreatedToken, ErrorCode, JobInfo,
    JobRequest, PathInfo, Status, TokenInfo, VERSION_HEADER, routes,
};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::error::Error;
use crate::socket;
pub use events::{Event, Events};

/// No answer may be larger, so that whatever listens on the socket cannot fill the memory.
pub const MAX_REPLY_BYTES: usize = 64 << 20;

/// The daemon behind one of some sockets.
#[derive(Debug)]
pub struct Client {
    /// Where the socket may be, the likeliest first.
    pub candidates: Vec<PathBuf>,
    /// How long one request may take; of a stream of events, how long it may be silent.
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

    /// `GET /v1/jobs`
    pub async fn jobs(&self) -> Result<Vec<JobInfo>, Error> {
        match self.get(routes::JOBS).await {
            // Of all jobs, none is an answer; so it is the endpoint that is missing.
            Err(error) if is_not_found(&error) => Err(Error::TooOld { what: "long jobs" }),
            jobs => jobs,
        }
    }

    /// `POST /v1/jobs`
    pub async fn run_job(&self, job: &JobRequest) -> Result<Events, Error> {
        match self.stream(Method::POST, routes::JOBS, json(job)).await {
            Err(error) => Err(self.blame_missing_jobs(error).await),
            events => events,
        }
    }

    /// `POST /v1/jobs/ID/stop`
    pub async fn stop_job(&self, id: &str) -> Result<JobInfo, Error> {
        match self.post(&routes::stop_job(id), None::<&()>).await {
            Err(error) => Err(self.blame_missing_jobs(error).await),
            job => job,
        }
    }

    /// Tells a daemon that knows no jobs from one that does not find what a job is to work on.
    async fn blame_missing_jobs(&self, error: Error) -> Error {
        if !is_not_found(&error) {
            return error;
        }
        match self.jobs().await {
            Err(too_old @ Error::TooOld { .. }) => too_old,
            _ => error,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.exchange(Method::GET, path, Bytes::new()).await?.decode()
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&impl Serialize>) -> Result<T, Error> {
        self.exchange(Method::POST, path, body.map(json).unwrap_or_default()).await?.decode()
    }

    /// Sends one request, on a connection of its own, and takes the whole answer.
    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Reply, Error> {
        let (call, stream) = self.connect(method, path).await?;
        let answer = async {
            let response = call.send(stream, body).await?;
            call.collect(response.into_body()).await
        };
        let body = call.within(self.timeout, answer).await?;
        Ok(Reply { call, body })
    }

    /// Sends one request, on a connection of its own, and takes the answer line by line.
    async fn stream(&self, method: Method, path: &str, body: Bytes) -> Result<Events, Error> {
        let (call, stream) = self.connect(method, path).await?;
        let response = call.within(self.timeout, call.send(stream, body)).await?;
        Ok(Events::new(call, response.into_body(), self.timeout))
    }

    /// Connecting to a Unix socket succeeds or fails at once, so it needs no time limit.
    async fn connect(&self, method: Method, path: &str) -> Result<(Call, UnixStream), Error> {
        let (socket, stream) = socket::connect(&self.candidates).await?;
        Ok((Call { socket, method, path: path.to_owned() }, stream))
    }
}

/// A request under way.
#[derive(Clone)]
struct Call {
    /// The socket it went to.
    socket: PathBuf,
    method: Method,
    path: String,
}

impl Call {
    /// Sends the request and takes the head of an answer that reports success.
    async fn send(&self, stream: UnixStream, body: Bytes) -> Result<Response<Incoming>, Error> {
        let request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
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

        if let Some(stated) = response.headers().get(VERSION_HEADER) {
            let stated = stated.to_str().ok().and_then(|text| text.parse().ok());
            self.check_version(
                stated
                    .ok_or_else(|| self.malformed(format!("its header {VERSION_HEADER} is not a number")))?,
            )?;
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        match serde_json::from_slice::<ApiError>(&self.collect(response.into_body()).await?) {
            Ok(error) => Err(Error::Daemon(error)),
            Err(_) => Err(Error::Unexplained { request: self.request(), status }),
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Error> {
        match Limited::new(body, MAX_REPLY_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(self.broken_off(*error)),
                // The only other error of `Limited` is that of its limit.
                Err(_) => Err(self.too_large(MAX_REPLY_BYTES)),
            },
        }
    }

    /// What `answer` comes to, unless that takes too long.
    async fn within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Error::Timeout { socket: self.socket.clone(), waited: limit }),
        }
    }

    /// Method and path, as errors name them.
    fn request(&self) -> String {
        format!("{} {}", self.method, self.path)
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
        Error::Malformed { request: self.request(), reason }
    }

    fn too_large(&self, limit: usize) -> Error {
        Error::TooLarge { request: self.request(), limit }
    }
}

fn json(request: &impl Serialize) -> Bytes {
    serde_json::to_vec(request).expect("requests are plain data").into()
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Daemon(ApiError { code: ErrorCode::NotFound, .. }))
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
