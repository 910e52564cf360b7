//! Connections of HTTP/1.1 over TCP: answers plain requests from a [`Shortcut`], and gives all others to the parser.
//!
//! Most requests of a binary cache are plain, and their replies are in memory or in files. Answering one of these here costs little more
//! than the system calls that receive and send it. When something else arrives, the parser (hyper) gets exactly the bytes of this one
//! request. Once it has sent the reply, the connection returns here. So requests of both kinds may follow each other in any order, also without
//! waiting for replies.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the life of a connection |
//! | `wire.rs` | the socket with what was read ahead, and plain requests |
//! | `exchange.rs` | one request through the parser |
//! | `send_file.rs` | the body of a reply that is a file |

mod exchange;
mod send_file;
mod wire;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

use self::exchange::Exchange;
use self::wire::{Next, Wire};
use super::serve::{EVICTION, HEADER_TIMEOUT, until_end};
use super::shortcut::Shortcut;
use crate::limits::connections::Connection;

/// How connections of a listener are served.
pub struct Front {
    /// Answers plain requests.
    pub shortcut: Arc<dyn Shortcut>,
    /// The settings of the parser.
    pub builder: http1::Builder,
    /// Cancelled when the listener closes.
    pub ending: CancellationToken,
}

impl Front {
    /// Serves a connection until it ends. `answer` is for what the parser gets.
    pub async fn serve<A, F>(&self, stream: TcpStream, connection: &Arc<Connection>, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response, Infallible>> + Send + 'static,
    {
        let wire = Arc::new(Mutex::new(Wire::new(stream, connection.clone())));
        let mut idle = pin!(Idle { sleep: None, since: Instant::now() });
        let mut evicted = pin!(connection.evicted());
        let mut ending = pin!(until_end(&self.ending, connection));
        let mut is_over_for_new = false;
        loop {
            let next = std::future::poll_fn(|context| {
                let mut wire = wire.lock();
                // The first request of a connection is answered still if it is there: its client would get a reset instead of a reply.
                let may_end = |wire: &Wire| wire.is_idle() && !(connection.is_new() && wire.has_arrived());
                // Flags, so that a connection that is never idle ends as well.
                let is_over = |for_new| for_new || self.ending.is_cancelled() && !connection.is_new();
                if (connection.is_evicted() || is_over(is_over_for_new)) && may_end(&wire) {
                    return Poll::Ready(Next::Close);
                }
                let progress = wire.progress();
                let next = wire.poll_next(&*self.shortcut, context);
                if next.is_ready() {
                    return next;
                }
                if wire.progress() != progress {
                    idle.as_mut().get_mut().since = Instant::now();
                    // What else this task waits for would have woken it once more, or is looked at above.
                    if idle.sleep.is_some() && !self.ending.is_cancelled() {
                        return Poll::Pending;
                    }
                }
                // While a reply is being sent, the kernel notices whether the client still takes it.
                let is_too_slow = idle.as_mut().poll(context).is_ready() && !wire.has_unsent();
                let has_to_go = evicted.as_mut().poll(context).is_ready();
                is_over_for_new = is_over_for_new || ending.as_mut().poll(context).is_ready();
                let ends = is_over(is_over_for_new) && may_end(&wire);
                if is_too_slow || has_to_go || ends { Poll::Ready(Next::Close) } else { Poll::Pending }
            });
            match next.await {
                Next::Close => return,
                Next::File(body) => {
                    let sending = send_file::send(&wire, body);
                    if !self.complete(connection, sending).await {
                        return;
                    }
                }
                Next::Parser => {
                    let left = HEADER_TIMEOUT.saturating_sub(idle.since.elapsed());
                    let exchange = Exchange::new(&wire, &self.builder, left, connection, answer.clone());
                    if !exchange.run(connection, &self.ending).await {
                        return;
                    }
                }
            }
            connection.is_done();
            idle.as_mut().get_mut().since = Instant::now();
        }
    }

    /// Completes a reply. Returns whether the connection can go on.
    async fn complete(
        &self,
        connection: &Connection,
        sending: impl Future<Output = std::io::Result<()>>,
    ) -> bool {
        let mut sending = pin!(sending);
        let sent = tokio::select! {
            biased;
            sent = &mut sending => sent,
            () = connection.evicted() => match tokio::time::timeout(EVICTION, sending).await {
                Ok(sent) => sent,
                Err(_) => return false,
            },
        };
        sent.inspect_err(|error| tracing::debug!(%error, "connection ended early")).is_ok()
    }
}

/// Ends a connection whose client sends no request in time.
struct Idle {
    sleep: Option<Pin<Box<Sleep>>>,
    since: Instant,
}

impl Idle {
    /// Ready once the time is over. The timer is set anew only when it has fired, as nearly all requests come earlier.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let deadline = self.since + HEADER_TIMEOUT;
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
        }
    }
}

#[cfg(test)]
mod tests;
