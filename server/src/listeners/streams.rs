//! What the requests of an HTTP/2 connection may take, and what the connection is doing.
//!
//! A request of HTTP/1.1 has a connection to itself, so the limit of connections is one of requests. With HTTP/2, one connection
//! carries many of them. Each draws from a budget as large as that of the connections, so that a client gains nothing by it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::counters::LIMIT_HITS;
use crate::counters::labels::LimitHit;
use crate::limits::connections::Connection;

/// Connections that may have large windows at the same time.
const WIDE_CONNECTIONS: usize = 64;

/// Budgets that all HTTP/2 connections share.
#[derive(Clone)]
pub struct StreamLimits {
    requests: Arc<Semaphore>,
    wide: Arc<Semaphore>,
}

impl StreamLimits {
    /// At most `most` requests at a time.
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { requests: Arc::new(Semaphore::new(most)), wide: Arc::new(Semaphore::new(WIDE_CONNECTIONS)) }
    }

    /// Memory for large windows, which fast uploads over long lines take. `None` if others have it all.
    pub(super) fn widen(&self) -> Option<OwnedSemaphorePermit> {
        self.wide.clone().try_acquire_owned().ok()
    }
}

/// What a connection of HTTP/2 is doing: it reports to the limits of connections as one of HTTP/1.1 does.
pub(super) struct Streams {
    connection: Arc<Connection>,
    limits: StreamLimits,
    counts: Mutex<Counts>,
}

struct Counts {
    /// Requests that are received or handled.
    working: usize,
    /// Replies that are sent.
    sending: usize,
    idle_since: Instant,
}

impl Streams {
    pub(super) fn new(connection: Arc<Connection>, limits: StreamLimits) -> Arc<Self> {
        let counts = Counts { working: 0, sending: 0, idle_since: Instant::now() };
        Arc::new(Self { connection, limits, counts: Mutex::new(counts) })
    }

    /// Notes that a request head has arrived. `None` if there are too many requests.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Stream> {
        let Ok(place) = self.limits.requests.clone().try_acquire_owned() else {
            LIMIT_HITS.count(LimitHit::Connections);
            return None;
        };
        self.change(|counts| counts.working += 1);
        Some(Stream { streams: self.clone(), is_sending: false, _place: place })
    }

    /// Resolves once no request was under way for so long.
    pub(super) async fn idled(self: Arc<Self>, limit: Duration) {
        loop {
            let since = {
                let counts = self.counts.lock();
                (counts.working + counts.sending == 0).then_some(counts.idle_since)
            };
            let left = since.map_or(limit, |since| limit.saturating_sub(since.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock();
        change(&mut counts);
        if counts.working > 0 {
            self.connection.has_request();
        } else if counts.sending > 0 {
            self.connection.sends_reply();
        } else {
            counts.idle_since = Instant::now();
            self.connection.is_done();
        }
    }
}

/// A request, until its reply is sent or given up.
pub(super) struct Stream {
    streams: Arc<Streams>,
    is_sending: bool,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// Notes that the reply is being sent, and that it ends with the body.
    pub(super) fn send<B>(mut self, body: B) -> StreamBody<B> {
        self.streams.change(|counts| {
            counts.working -= 1;
            counts.sending += 1;
        });
        self.is_sending = true;
        StreamBody { body, _stream: self }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.change(|counts| match self.is_sending {
            true => counts.sending -= 1,
            false => counts.working -= 1,
        });
    }
}

/// The body of a reply. Its request has ended when it is dropped.
pub(super) struct StreamBody<B> {
    body: B,
    _stream: Stream,
}

impl<B: Body + Unpin> Body for StreamBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::limits::connections::Connections;

    use super::*;

    fn streams(most: usize) -> Arc<Streams> {
        let place = Arc::new(Connections::new(4)).admit(None).unwrap();
        Streams::new(place.connection().clone(), StreamLimits::new(most))
    }

    #[test]
    fn requests_beyond_the_budget_are_refused_until_others_end() {
        let streams = streams(2);
        let first = streams.begin().unwrap();
        let second = streams.begin().unwrap().send("body");
        assert!(streams.begin().is_none());
        drop(second);
        assert!(streams.begin().is_some());
        drop(first);
        let counts = streams.counts.lock();
        assert_eq!((counts.working, counts.sending), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_idles_only_without_requests() {
        let streams = streams(2);
        let request = streams.begin().unwrap();
        let limit = Duration::from_secs(60);
        assert!(tokio::time::timeout(limit * 5, streams.clone().idled(limit)).await.is_err());
        drop(request);
        let idled = tokio::time::timeout(Duration::from_millis(50), streams.idled(Duration::ZERO)).await;
        assert!(idled.is_ok());
    }

    #[test]
    fn few_connections_have_large_windows() {
        let limits = StreamLimits::new(1);
        let wide: Vec<_> = std::iter::from_fn(|| limits.widen()).collect();
        assert_eq!(wide.len(), WIDE_CONNECTIONS);
    }
}
