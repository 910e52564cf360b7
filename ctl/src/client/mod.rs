//! Sends a request to the daemon and returns its reply. Knows no endpoint but those that tell the daemon's age.

mod events;
pub mod socket;

use std::path::PathBuf;
use std::time::Duration;

use admin_api::{
    API_VERSION, ApiError, Endpoint, ErrorCode, Lines, ListJobs, ListWorkers, Since, VERSION_HEADER, wire,
};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::error::Error;
pub use events::{Event, Events};

/// The most bytes of a reply, so that nothing that listens on the socket can fill the memory.
pub const MAX_REPLY_BYTES: usize = 64 << 20;

/// A client of the daemon behind the first socket that accepts a connection.
#[derive(Debug)]
pub struct Client {
    /// Where the socket may be, the most likely place first.
    pub candidates: Vec<PathBuf>,
    /// How long one request may take; for a stream of events, how long it may be silent.
    pub timeout: Duration,
}

impl Client {
    /// Sends a request and returns its reply.
    pub async fn call<E>(&self, request: &E) -> Result<E::Reply, Error>
    where
        E: Endpoint,
        E::Reply: DeserializeOwned,
    {
        match self.exchange(request).await {
            Ok(reply) => reply.decode(),
            Err(error) => Err(self.explain_not_found::<E>(error).await),
        }
    }

    /// Sends a request and returns its reply event by event.
    pub async fn stream<E, T>(&self, request: &E) -> Result<Events<T>, Error>
    where
        E: Endpoint<Reply = Lines<T>>,
    {
        match self.open_stream(request).await {
            Ok(events) => Ok(events),
            Err(error) => Err(self.explain_not_found::<E>(error).await),
        }
    }

    /// Sends a request on a connection of its own and collects the reply.
    async fn exchange<E: Endpoint>(&self, request: &E) -> Result<Reply, Error> {
        let (call, stream) = self.connect::<E>().await?;
        let reply = async {
            let response = call.send(stream, request).await?;
            call.collect(response.into_body()).await
        };
        let body = call.within(self.timeout, reply).await?;
        Ok(Reply { call, body })
    }

    /// Sends a request on a connection of its own and returns the reply while it arrives.
    async fn open_stream<E, T>(&self, request: &E) -> Result<Events<T>, Error>
    where
        E: Endpoint<Reply = Lines<T>>,
    {
        let (call, stream) = self.connect::<E>().await?;
        let response = call.within(self.timeout, call.send(stream, request)).await?;
        Ok(Events::new(call, response.into_body(), self.timeout))
    }

    /// Connecting to a Unix socket succeeds or fails at once, so it needs no timeout.
    async fn connect<E: Endpoint>(&self) -> Result<(Call, UnixStream), Error> {
        let (socket, stream) = socket::connect(&self.candidates).await?;
        Ok((Call { socket, request: name_of::<E>() }, stream))
    }

    /// Distinguishes a daemon that lacks an endpoint from one that cannot find what the request names: of the two, only
    /// the first lacks the list of the same part of the API.
    async fn explain_not_found<E: Endpoint>(&self, error: Error) -> Error {
        if !is_not_found(&error) {
            return error;
        }
        let list = match E::SINCE {
            Since::First => return error,
            Since::Jobs => self.exchange(&ListJobs {}).await,
            Since::Workers => self.exchange(&ListWorkers {}).await,
        };
        match list {
            Err(missing) if is_not_found(&missing) => Error::TooOld { request: name_of::<E>() },
            _ => error,
        }
    }
}

/// Whether the daemon reports that something does not exist.
pub fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Daemon(ApiError { code: ErrorCode::NotFound, .. }))
}

/// The method and the path of an endpoint, as errors name them.
fn name_of<E: Endpoint>() -> String {
    format!("{} {}", E::METHOD, E::PATH)
}

/// A request under way.
#[derive(Clone)]
struct Call {
    /// The socket that the request went to.
    socket: PathBuf,
    /// The method and the path.
    request: String,
}

impl Call {
    /// Sends the request and returns the head of a reply that reports success.
    async fn send<E: Endpoint>(&self, stream: UnixStream, request: &E) -> Result<Response<Incoming>, Error> {
        let wire::Encoded { target, body } = wire::encode(request);
        let request = Request::builder()
            .method(E::METHOD)
            .uri(target)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(VERSION_HEADER, API_VERSION)
            .body(Full::new(Bytes::from(body)))
            .expect("the target and the headers consist of valid characters");

        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.disconnected(e))?;
        // The sender and the body get its errors as well.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|e| self.disconnected(e))?;

        if let Some(stated) = response.headers().get(VERSION_HEADER) {
            let stated = stated.to_str().ok().and_then(|text| text.parse().ok());
            self.check_version(stated.ok_or_else(|| {
                self.malformed(format!("the value of its header {VERSION_HEADER} is not a number"))
            })?)?;
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        match serde_json::from_slice::<ApiError>(&self.collect(response.into_body()).await?) {
            Ok(error) => Err(Error::Daemon(error)),
            Err(_) => Err(Error::Unexplained { request: self.request.clone(), status }),
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Error> {
        match Limited::new(body, MAX_REPLY_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(self.disconnected(*error)),
                // The only other error of `Limited` is that of its limit.
                Err(_) => Err(self.too_large(MAX_REPLY_BYTES)),
            },
        }
    }

    /// Awaits `reply`, but not for longer than `limit`.
    async fn within<T>(
        &self,
        limit: Duration,
        reply: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, reply).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(Error::Timeout { socket: self.socket.clone(), waited: limit }),
        }
    }

    fn check_version(&self, daemon: u32) -> Result<(), Error> {
        if daemon == API_VERSION {
            return Ok(());
        }
        Err(Error::Version { socket: self.socket.clone(), daemon })
    }

    fn disconnected(&self, source: hyper::Error) -> Error {
        Error::Disconnected { socket: self.socket.clone(), source }
    }

    fn malformed(&self, reason: String) -> Error {
        Error::Malformed { request: self.request.clone(), reason }
    }

    fn too_large(&self, limit: usize) -> Error {
        Error::TooLarge { request: self.request.clone(), limit }
    }
}

/// The body of a reply that reports success.
struct Reply {
    call: Call,
    body: Bytes,
}

impl Reply {
    fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // The status states the version as well, in case a proxy drops the header. It is checked before the rest, which
        // a daemon of another version may write differently.
        if let Ok(stated) = serde_json::from_slice::<StatedVersion>(&self.body) {
            self.call.check_version(stated.api_version)?;
        }
        serde_json::from_slice(&self.body).map_err(|e| self.call.malformed(e.to_string()))
    }
}

/// The part of a [`Status`](admin_api::Status) that every version of the API has.
#[derive(Deserialize)]
struct StatedVersion {
    api_version: u32,
}

#[cfg(test)]
mod tests;
