use std::time::Duration;

use admin_api::EVENTS_INTERVAL;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::Call;
use crate::error::Error;

/// No line of a stream may be longer.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// The answer to a request for a long job or a log, as it comes.
pub struct Events {
    call: Call,
    body: Incoming,
    /// How long the daemon may say nothing.
    silence: Duration,
    /// What has come and was not handed out yet.
    pending: Vec<u8>,
    /// So much of `pending` has no line feed.
    scanned: usize,
}

/// A line of the answer.
pub struct Event<T> {
    /// What it means.
    pub event: T,
    /// The JSON as the daemon wrote it, on one line.
    pub line: String,
}

impl Events {
    pub(super) fn new(call: Call, body: Incoming, timeout: Duration) -> Self {
        // A busy daemon may be late once without being given up.
        let silence = timeout.max(2 * EVENTS_INTERVAL);
        Self { call, body, silence, pending: Vec::new(), scanned: 0 }
    }

    /// The next event. Nothing is to be asked for after the last one.
    ///
    /// # Errors
    ///
    /// [`Error::EndedEarly`] when there is none, and what else can go wrong with an answer.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Event<T>, Error> {
        loop {
            let call = self.call.clone();
            let line = call.within(self.silence, self.next_line()).await?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let event = serde_json::from_slice(&line).map_err(|e| call.malformed(e.to_string()))?;
            // JSON that could be read is UTF-8.
            return Ok(Event { event, line: String::from_utf8_lossy(&line).into_owned() });
        }
    }

    /// The next line, without its line feed.
    async fn next_line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(length) = self.pending[self.scanned..].iter().position(|&byte| byte == b'\n') {
                let rest = self.pending.split_off(self.scanned + length + 1);
                let mut line = std::mem::replace(&mut self.pending, rest);
                line.pop();
                self.scanned = 0;
                return Ok(line);
            }
            self.scanned = self.pending.len();
            if self.scanned > MAX_EVENT_BYTES {
                return Err(self.call.too_large(MAX_EVENT_BYTES));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.pending.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(self.call.broken_off(error)),
                // A line that was begun is no event.
                None => return Err(Error::EndedEarly { socket: self.call.socket.clone() }),
            }
        }
    }
}
