use std::marker::PhantomData;
use std::time::Duration;

use admin_api::EVENTS_INTERVAL;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::Call;
use crate::error::Error;

/// The most bytes of one event.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// The events of a reply, while they arrive.
pub struct Events<T> {
    call: Call,
    body: Incoming,
    /// How long the daemon may be silent.
    silence: Duration,
    /// The bytes that have arrived but were not returned yet.
    pending: Vec<u8>,
    /// The length of the part of `pending` that is known to have no line feed.
    scanned: usize,
    event: PhantomData<T>,
}

/// An event of a reply.
pub struct Event<T> {
    /// The decoded event.
    pub event: T,
    /// The JSON as the daemon sent it, on one line.
    pub line: String,
}

impl<T> Events<T> {
    pub(super) fn new(call: Call, body: Incoming, timeout: Duration) -> Self {
        // A busy daemon may be late once.
        let silence = timeout.max(2 * EVENTS_INTERVAL);
        Self { call, body, silence, pending: Vec::new(), scanned: 0, event: PhantomData }
    }

    /// Returns the next event. The caller must stop after the last one.
    ///
    /// # Errors
    ///
    /// [`Error::EndedEarly`] if there is none, and all other errors of a reply.
    pub async fn next(&mut self) -> Result<Event<T>, Error>
    where
        T: DeserializeOwned,
    {
        loop {
            let call = self.call.clone();
            let line = call.within(self.silence, self.next_line()).await?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let event = serde_json::from_slice(&line).map_err(|e| call.malformed(e.to_string()))?;
            // Valid JSON is UTF-8.
            return Ok(Event { event, line: String::from_utf8_lossy(&line).into_owned() });
        }
    }

    /// Returns the next line, without its line feed.
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
                Some(Err(error)) => return Err(self.call.disconnected(error)),
                // An incomplete line is not an event.
                None => return Err(Error::EndedEarly { socket: self.call.socket.clone() }),
            }
        }
    }
}
