//! Websockets: the handshake, liveness, limits and the close (protocol reference 7.4).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use warp::reply::{Reply, Response};

use crate::auth::TokenRef;
use crate::chain::chain;
use crate::deploy::{Fleet, Owner};
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::Head;
use crate::http::state::State;

/// How long the peer may be silent before it is pinged. Clients ping every 30 seconds.
const QUIET: Duration = Duration::from_secs(75);
/// How long the peer may take to answer a ping.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the peer may take to receive one message.
const SEND: Duration = Duration::from_secs(30);
/// How long a connection may take to close after the close frame. Clients wait three seconds.
const CLOSE: Duration = Duration::from_secs(3);
/// How long the upgrade may take after the reply to the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the expiry of the token is checked.
const RECHECK: Duration = Duration::from_secs(30);
/// Size of each buffer in bytes. Small: a thousand agents may be connected, and send little.
const BUFFER: usize = 4 << 10;
/// Largest message in bytes. A log line may be long.
const MOST_BYTES: usize = 1 << 20;

/// A request for a websocket.
pub(super) struct Upgrade {
    key: Option<String>,
    on_upgrade: Option<OnUpgrade>,
}

impl Upgrade {
    /// Reads the head of any request. [`Upgrade::accept`] refuses a request that is no websocket handshake.
    pub(super) fn of(head: &mut Head) -> Result<Self, HttpError> {
        let upgrade = head.header("upgrade")?;
        let version = head.header("sec-websocket-version")?;
        let fits = upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
            && version.is_some_and(|version| version.trim() == "13");
        let key = head.header("sec-websocket-key")?.filter(|_| fits).map(str::to_owned);
        Ok(Self { key, on_upgrade: head.on_upgrade.take() })
    }

    /// Answers the handshake and runs `serve` on the socket.
    pub(super) fn accept<F>(
        self,
        state: &State,
        owner: Owner,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Answer
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (Some(key), Some(on_upgrade)) = (self.key, self.on_upgrade) else { return Ok(not_a_websocket()) };
        let slot = state.deploy.slots().take(owner).ok_or_else(|| {
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections; try again later")
        })?;
        state.deploy.sockets().spawn(async move {
            let _slot = slot;
            match timeout(HANDSHAKE, on_upgrade).await {
                Ok(Ok(upgraded)) => serve(Socket::over(TokioIo::new(upgraded)).await).await,
                _ => tracing::debug!("a websocket closed during its handshake"),
            }
        });
        let mut response = Response::default();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let accept = derive_accept_key(key.as_bytes());
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is visible ASCII"));
        Ok(response)
    }
}

fn not_a_websocket() -> Response {
    let mut response =
        HttpError::new(StatusCode::UPGRADE_REQUIRED, "only a websocket (version 13) can be opened here")
            .into_response();
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// An open websocket.
pub(super) struct Socket<S = TokioIo<Upgraded>> {
    stream: WebSocketStream<S>,
    /// When the peer sent something last, or was excused from sending.
    heard: Instant,
    asked: bool,
    answers_pings: bool,
    /// Whether the peer has sent a close frame and waits for the answer.
    closing: bool,
}

/// An event on a websocket.
pub(super) enum Heard {
    /// A message.
    Text(Utf8Bytes),
    /// No more messages will come. Only [`Socket::end`] is left to do.
    Gone,
}

/// The peer is gone or has stopped reading.
#[derive(Debug)]
pub(super) struct Gone;

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn over(io: S) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(2 * MOST_BYTES)
            .max_message_size(Some(MOST_BYTES))
            .max_frame_size(Some(MOST_BYTES));
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Self { stream, heard: Instant::now(), asked: false, answers_pings: true, closing: false }
    }

    /// Accepts silence from now on: this client does not read while it writes (protocol reference 7.8). It is pinged all the
    /// same, so that its kernel shows whether the machine still runs.
    pub(super) fn expect_no_answers(&mut self) {
        self.answers_pings = false;
    }

    /// Waits for a message, and keeps the connection alive meanwhile. Cancel-safe.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            let limit = self.heard + if self.asked { QUIET + ANSWER } else { QUIET };
            match timeout_at(limit, self.stream.next()).await {
                Err(_) if self.asked => return Heard::Gone,
                Err(_) => {
                    if self.answers_pings {
                        self.asked = true;
                    } else {
                        self.heard = Instant::now();
                    }
                    if self.send(Message::Ping(Default::default())).await.is_err() {
                        return Heard::Gone;
                    }
                    continue;
                }
                Ok(Some(Ok(Message::Text(text)))) => {
                    self.is_heard();
                    return Heard::Text(text);
                }
                Ok(Some(Ok(Message::Close(_)))) => {
                    self.closing = true;
                    return Heard::Gone;
                }
                Ok(Some(Ok(_))) => self.is_heard(),
                Ok(Some(Err(error))) => {
                    tracing::debug!(error = %chain(&error), "a websocket broke");
                    return Heard::Gone;
                }
                Ok(None) => return Heard::Gone,
            }
        }
    }

    /// Sends a message.
    pub(super) async fn say(&mut self, text: String) -> Result<(), Gone> {
        self.send(Message::text(text)).await
    }

    /// Sends messages, together where possible.
    pub(super) async fn say_all(&mut self, texts: impl Iterator<Item = String>) -> Result<(), Gone> {
        for text in texts {
            let fed = timeout(SEND, self.stream.feed(Message::text(text))).await;
            fed.map_err(|_| Gone)?.map_err(|_| Gone)?;
        }
        timeout(SEND, self.stream.flush()).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// Ends the connection. Sends a close frame if `ending` gives a reason, or answers the peer's with the same code, which
    /// clients depend on (protocol reference 7.4). Record all messages before the call: the answer confirms them.
    pub(super) async fn end(mut self, ending: Option<Ending>) {
        match ending {
            // Reading on sends the answer.
            _ if self.closing => self.drain().await,
            None => {}
            Some(ending) => {
                let (code, reason) = ending.code();
                let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
                if self.send(Message::Close(Some(frame))).await.is_ok() {
                    self.drain().await;
                }
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        timeout(SEND, self.stream.send(message)).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// Reads until the peer is gone.
    async fn drain(&mut self) {
        let drained = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = timeout(CLOSE, drained).await;
    }

    fn is_heard(&mut self) {
        self.heard = Instant::now();
        self.asked = false;
    }
}

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Ending {
    /// Everything has been sent.
    Done,
    /// The daemon stops. An agent's connection never ends with [`Ending::Done`] instead: that would stop the agent.
    Stopping,
    /// The agent has newer connections.
    Displaced,
    /// The token or the configuration no longer permits it.
    Forbidden,
}

impl Ending {
    fn code(self) -> (CloseCode, &'static str) {
        match self {
            Self::Done => (CloseCode::Normal, "this is the end"),
            Self::Stopping => (CloseCode::Away, "the server stops"),
            Self::Displaced => (CloseCode::Away, "there are newer connections"),
            Self::Forbidden => (CloseCode::Policy, "this is not permitted any more"),
        }
    }
}

/// The conditions under which a connection may stay open.
pub(in crate::http) struct Permit {
    state: Arc<State>,
    token: TokenRef,
    revoked: watch::Receiver<()>,
    fleet: watch::Receiver<Arc<Fleet>>,
    declared: Box<dyn Fn(&Fleet) -> bool + Send + Sync>,
}

impl Permit {
    /// For a connection that was opened with `token`. `declared` checks that the configuration still names the client.
    pub(in crate::http) fn new(
        state: &Arc<State>,
        token: TokenRef,
        declared: impl Fn(&Fleet) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (revoked, fleet) = (state.tokens.watch_revoked(), state.deploy.watch_fleet());
        Self { state: state.clone(), token, revoked, fleet, declared: Box::new(declared) }
    }

    /// Waits until the connection has to end. Cancel-safe.
    pub(in crate::http) async fn ended(&mut self) -> Ending {
        loop {
            let good =
                self.state.tokens.is_good(self.token) && (self.declared)(&self.fleet.borrow_and_update());
            if !good {
                return Ending::Forbidden;
            }
            // The senders live as long as the daemon.
            tokio::select! {
                () = self.state.deploy.closing().cancelled() => return Ending::Stopping,
                _ = self.revoked.changed() => {}
                _ = self.fleet.changed() => {}
                () = tokio::time::sleep(RECHECK) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
