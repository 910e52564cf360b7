//! Connections that note what they do, so that the idlest is known: a store to an atomic for each read, write and request. What
//! they read is followed from request to request, so that none is beyond doubt, see [`Framing`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_framing::Framing;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::counters::{RECEIVED_BYTES, SENT_BYTES};
use crate::limits::connections::Connection;

/// A socket that notes when bytes move.
pub struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
    framing: Framing,
    upgraded: Upgraded,
}

/// Whether a connection is none of HTTP any more.
#[derive(Clone, Default)]
pub struct Upgraded(Arc<AtomicBool>);

impl Upgraded {
    /// Whether the last reply in HTTP was given.
    pub fn is_upgraded(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Notes that this is the last reply in HTTP, if it is.
    pub fn note<B>(&self, reply: &Response<B>) {
        if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl<S> Watched<S> {
    /// The socket of this connection, until that is `upgraded`.
    pub fn new(stream: S, connection: Arc<Connection>, upgraded: Upgraded) -> Self {
        Self { stream, connection, framing: Framing::default(), upgraded }
    }

    /// The socket of a connection of HTTP/2, whose requests are framed beyond doubt.
    pub fn binary(stream: S, connection: Arc<Connection>) -> Self {
        let mut framing = Framing::default();
        framing.stop();
        Self { stream, connection, framing, upgraded: Upgraded::default() }
    }

    fn note<T>(&self, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.connection.has_moved();
        }
        moved
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            SENT_BYTES.add(*bytes as u64);
        }
        self.note(written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        RECEIVED_BYTES.add((buffer.filled().len() - before) as u64);
        if read.is_ready() {
            if self.upgraded.is_upgraded() {
                self.framing.stop();
            }
            // The parser refuses what is spoiled here.
            self.framing.check(&mut buffer.filled_mut()[before..]);
        }
        self.note(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of a reply. Its connection is idle when it is dropped.
pub struct ReplyBody<B> {
    body: B,
    connection: Arc<Connection>,
}

impl<B> ReplyBody<B> {
    /// A body that is sent on this connection from now on.
    pub fn new(body: B, connection: Arc<Connection>) -> Self {
        connection.sends_reply();
        Self { body, connection }
    }
}

impl<B: Body + Unpin> Body for ReplyBody<B> {
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

impl<B> Drop for ReplyBody<B> {
    fn drop(&mut self) {
        self.connection.is_done();
    }
}
