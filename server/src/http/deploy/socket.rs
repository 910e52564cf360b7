//! Websockets: the handshake, and what holds on each of them (protocol reference 7.4).

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
use crate::deploy::{Fleet, Owner};
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::Head;
use crate::http::state::State;

/// How long the other side may be silent before it is asked for a sign of life. Clients ping every 30 seconds.
const QUIET: Duration = Duration::from_secs(75);
/// How long it may then take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How long one message may take to be taken.
const SEND: Duration = Duration::from_secs(30);
/// How long the end of a connection may take once it was announced. Clients wait three seconds.
const CLOSE: Duration = Duration::from_secs(3);
/// How long the connection may take to be ours after the reply to the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a token is looked at that may have expired.
const RECHECK: Duration = Duration::from_secs(30);
/// A thousand agents are connected at a time, and say little.
const BUFFER: usize = 4 << 10;
/// Largest message: a line of a log may be long.
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

    /// Answers the handshake and has `serve` talk on the socket.
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
                _ => tracing::debug!("a websocket was gone before it began"),
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
    /// When the other side was heard last, or given up waiting for.
    heard: Instant,
    asked: bool,
    answers_pings: bool,
    /// Whether the other side has said goodbye and waits for the answer.
    closing: bool,
}

/// What came over a websocket.
pub(super) enum Heard {
    /// A message.
    Text(Utf8Bytes),
    /// Nothing more will come: what is left to do is [`Socket::end`].
    Gone,
}

/// The other side is gone, or takes nothing any more.
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

    /// From now on, silence means nothing: this client does not read while it writes (protocol reference 7.8). It is
    /// pinged all the same, so that its kernel says whether its machine is still there.
    pub(super) fn expect_no_answers(&mut self) {
        self.answers_pings = false;
    }

    /// Waits for a message, answers pings, and looks after the connection. May be dropped at any time.
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
                    tracing::debug!(%error, "a websocket broke");
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

    /// Ends the connection: says goodbye if we are the ones who end it, and else answers a goodbye with the same code,
    /// which clients count on (protocol reference 7.4). Whatever was said before is to be recorded by now.
    pub(super) async fn end(mut self, ending: Option<Ending>) {
        match ending {
            // The answer is sent by reading on.
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

    /// Reads until the other side is gone.
    async fn drain(&mut self) {
        let drained = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = timeout(CLOSE, drained).await;
    }

    fn is_heard(&mut self) {
        self.heard = Instant::now();
        self.asked = false;
    }
}

/// Why we end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// There is nothing more to say.
    Done,
    /// The daemon stops. Never [`Ending::Done`] on an agent's connection: that would end the agent.
    Stopping,
    /// The agent has newer connections.
    Displaced,
    /// The token or the configuration does not permit it any more.
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

/// What has to stay true for a connection to go on.
pub(super) struct Permit {
    state: Arc<State>,
    token: TokenRef,
    revoked: watch::Receiver<()>,
    fleet: watch::Receiver<Arc<Fleet>>,
    declared: Box<dyn Fn(&Fleet) -> bool + Send + Sync>,
}

impl Permit {
    /// A connection opened with `token` by someone of whom `declared` says whether the configuration still names them.
    pub(super) fn new(
        state: &Arc<State>,
        token: TokenRef,
        declared: impl Fn(&Fleet) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (revoked, fleet) = (state.tokens.watch_revoked(), state.deploy.watch_fleet());
        Self { state: state.clone(), token, revoked, fleet, declared: Box::new(declared) }
    }

    /// Waits until the connection has to end. May be dropped at any time.
    pub(super) async fn ended(&mut self) -> Ending {
        loop {
            let good =
                self.state.tokens.is_good(self.token) && (self.declared)(&self.fleet.borrow_and_update());
            if !good {
                return Ending::Forbidden;
            }
            // Senders live as long as the application.
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
