//! One request that the parser reads and the routes answer.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

use super::super::serve::EVICTION;
use super::super::watched::ReplyBody;
use super::wire::Wire;
use crate::chain::chain;
use crate::limits::connections::Connection;

/// A request in the hands of the parser.
pub(super) struct Exchange {
    wire: Arc<Mutex<Wire>>,
    parser: Pin<Box<dyn Parser>>,
    replies: u32,
}

/// The parser of a connection, whatever answers.
trait Parser: Future<Output = hyper::Result<()>> + Send {
    /// Has it close the connection after the reply.
    fn close_after_reply(self: Pin<&mut Self>);
}

impl<I, B, S> Parser for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close_after_reply(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Exchange {
    /// Gives the connection to a parser with the settings of `builder`. The head of the request has to be there within `left`.
    pub(super) fn new<A, F>(
        wire: &Arc<Mutex<Wire>>,
        builder: &http1::Builder,
        left: Duration,
        connection: &Arc<Connection>,
        answer: A,
    ) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Send + 'static,
        F: Future<Output = Result<Response, Infallible>> + Send + 'static,
    {
        let upgraded = wire.lock().begin_exchange();
        let state = connection.clone();
        let service = service_fn(move |request| {
            state.has_request();
            let (answer, state, upgraded) = (answer(request), state.clone(), upgraded.clone());
            async move {
                let reply = answer.await?;
                upgraded.note(&reply);
                Ok::<_, Infallible>(reply.map(|body| ReplyBody::new(body, state)))
            }
        });
        let mut builder = builder.clone();
        builder.header_read_timeout(left);
        let socket = TokioIo::new(SharedWire(wire.clone()));
        // What becomes a websocket is not a connection of ours any more: `Deploy` closes it.
        let parser = Box::pin(builder.serve_connection(socket, service).with_upgrades());
        Self { wire: wire.clone(), parser, replies: connection.replies() }
    }

    /// Waits for the end of the reply. Returns whether the connection goes on: the parser can be dropped then, as it has neither read
    /// further than the end of its request nor anything left to send.
    pub(super) async fn run(mut self, connection: &Connection, ending: &CancellationToken) -> bool {
        let ended = {
            let exchanged = self.poll_until_exchanged(connection);
            tokio::select! {
                biased;
                ended = exchanged => Some(ended),
                () = connection.evicted() => None,
                () = ending.cancelled() => None,
            }
        };
        if let Some(ended) = ended {
            return ended;
        }
        if connection.is_evicted() {
            // A request that arrived at this very moment is answered still, and so are those that were not read to their end.
            if !connection.is_new() {
                self.parser.as_mut().close_after_reply();
                let _ = tokio::time::timeout(EVICTION, self.parser).await;
            }
        } else {
            self.parser.as_mut().close_after_reply();
            log_end(self.parser.await);
        }
        false
    }

    fn poll_until_exchanged<'a>(&'a mut self, connection: &'a Connection) -> BoxFuture<'a, bool> {
        Box::pin(std::future::poll_fn(move |context| match self.parser.as_mut().poll(context) {
            Poll::Ready(ended) => {
                log_end(ended);
                Poll::Ready(false)
            }
            Poll::Pending if connection.replies() != self.replies && self.wire.lock().is_exchanged() => {
                Poll::Ready(true)
            }
            Poll::Pending => Poll::Pending,
        }))
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(error = %chain(&error), "connection ended early");
    }
}

/// The socket, as the parser sees it.
struct SharedWire(Arc<Mutex<Wire>>);

impl AsyncRead for SharedWire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.lock().poll_read_request(context, buffer)
    }
}

impl AsyncWrite for SharedWire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock();
        let written = Pin::new(wire.begin_write()).poll_write(context, bytes);
        wire.note_written(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock();
        let written = Pin::new(wire.begin_write()).poll_write_vectored(context, bytes);
        wire.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock();
        ready!(Pin::new(&mut wire.stream).poll_flush(context))?;
        wire.is_now_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_shutdown(context)
    }
}
