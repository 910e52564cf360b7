//! Asks the daemon.

mod calls;
mod events;

use std::path::PathBuf;
use std::time::Duration;

use admin_api::{API_VERSION, ApiError, VERSION_HEADER};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::error::Error;
use crate::socket;
pub use calls::is_not_found;
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
