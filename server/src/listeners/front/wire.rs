//! The socket of a connection, what was read from it ahead of time, and the plain requests among that.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_framing::Framing;
use http_framing::plain::{self, Parsed, Plain};
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::counters::{RECEIVED_BYTES, SENT_BYTES};
use crate::federation::PEER_HEADER;
use crate::limits::connections::Connection;
use crate::listeners::shortcut::{Answered, FileBody, Output, Shortcut};
use crate::listeners::watched::Upgraded;

/// The most bytes that are read at once while plain requests are looked for.
const READ: usize = 16 << 10;

thread_local! {
    /// Where replies are put together. A connection keeps only what its socket does not take at once.
    static OUTPUT: RefCell<Output> = const { RefCell::new(Output::new()) };
}

/// What has to happen to a connection.
pub(super) enum Next {
    /// It is over.
    Close,
    /// This follows the head of a reply, which was sent.
    File(FileBody),
    /// The parser gets the next request.
    Parser,
}

/// A socket, and where its requests are.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    connection: Arc<Connection>,
    /// What was read and belongs to requests that were not answered yet.
    ahead: Vec<u8>,
    /// Whether that is the start of a head, so that more has to be read.
    is_incomplete: bool,
    /// Whether the request at the start of that is for the parser.
    is_for_parser: bool,
    /// The rest of a reply that the socket did not take.
    unsent: Vec<u8>,
    /// What follows that.
    file: Option<FileBody>,
    is_broken: bool,
    /// Counts replies and the ends of what is unsent.
    progress: u64,
    /// Follows the request that the parser has.
    framing: Framing,
    upgraded: Upgraded,
    /// Whether the parser may hold bytes of a reply.
    is_unflushed: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            ahead: Vec::new(),
            is_incomplete: false,
            is_for_parser: false,
            unsent: Vec::new(),
            file: None,
            is_broken: false,
            progress: 0,
            framing: Framing::default(),
            upgraded: Upgraded::default(),
            is_unflushed: false,
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.file.is_none() && !self.is_for_parser
    }

    /// Whether bytes wait in the socket that were not read yet, also before the runtime is told of them.
    pub(super) fn has_arrived(&self) -> bool {
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(rustix::net::recv(&self.stream, &mut byte[..], flags), Ok((read, _)) if read > 0)
    }

    /// Whether the socket does not take a reply.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// A number that changes when a request was answered.
    pub(super) fn progress(&self) -> u64 {
        self.progress
    }

    /// Answers plain requests as long as there are any.
    pub(super) fn poll_next(&mut self, shortcut: &dyn Shortcut, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            ready!(self.poll_unsent(context));
            if self.is_broken {
                return Poll::Ready(Next::Close);
            }
            if let Some(file) = self.file.take() {
                return Poll::Ready(Next::File(file));
            }
            if std::mem::take(&mut self.is_for_parser) {
                return Poll::Ready(Next::Parser);
            }
            if !self.ahead.is_empty() && !self.is_incomplete {
                let ahead = std::mem::take(&mut self.ahead);
                self.answer_all(&ahead, shortcut, context);
                continue;
            }
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let bytes = buffer.filled();
            if read.is_err() || bytes.is_empty() {
                return Poll::Ready(Next::Close);
            }
            RECEIVED_BYTES.add(bytes.len() as u64);
            if self.ahead.is_empty() {
                self.answer_all(bytes, shortcut, context);
            } else {
                self.ahead.extend_from_slice(bytes);
                let ahead = std::mem::take(&mut self.ahead);
                self.answer_all(&ahead, shortcut, context);
            }
        }
    }

    /// Answers the plain requests at the start of `bytes` and puts the rest ahead.
    fn answer_all(&mut self, bytes: &[u8], shortcut: &dyn Shortcut, context: &mut Context<'_>) {
        OUTPUT.with_borrow_mut(|output| {
            let mut at = 0;
            self.is_incomplete = false;
            while at < bytes.len() && !output.is_full() && self.file.is_none() {
                match plain::parse(&bytes[at..], PEER_HEADER) {
                    Parsed::Incomplete => {
                        self.is_incomplete = true;
                        break;
                    }
                    Parsed::Plain(request, length) if self.answer(&request, shortcut, output) => at += length,
                    Parsed::Plain(..) | Parsed::Other => {
                        self.is_for_parser = true;
                        break;
                    }
                }
            }
            self.ahead.extend_from_slice(&bytes[at..]);
            self.send(output, context);
            output.clear();
        });
    }

    /// Answers a request, if the shortcut does.
    fn answer(&mut self, request: &Plain<'_>, shortcut: &dyn Shortcut, output: &mut Output) -> bool {
        let before = output.len();
        // If it panics, which would be a bug, the routes have their own way to say so.
        match catch_unwind(AssertUnwindSafe(|| shortcut.answer(request, output))) {
            Ok(Answered::Whole) => {}
            Ok(Answered::WithFile(file)) => self.file = Some(file),
            Ok(Answered::No) => return false,
            Err(_) => {
                output.truncate(before);
                return false;
            }
        }
        self.progress += 1;
        true
    }

    /// Sends what the socket takes, and keeps the rest. Bytes of a file are not kept, as they are in the file.
    fn send(&mut self, output: &Output, context: &mut Context<'_>) {
        let bytes = output.as_slice();
        if bytes.is_empty() {
            return;
        }
        let sent = match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(_)) => {
                self.is_broken = true;
                return;
            }
            Poll::Pending => 0,
        };
        SENT_BYTES.add(sent as u64);
        let own = bytes.len() - self.file.as_ref().map_or(0, |file| file.prefetched);
        self.unsent.extend_from_slice(&bytes[sent.min(own)..own]);
        if let Some(file) = &mut self.file {
            file.range.start += sent.saturating_sub(own) as u64;
            if file.range.is_empty() {
                self.file = None;
            }
        }
        if self.unsent.is_empty() && self.file.is_none() {
            self.connection.is_done();
        } else {
            self.connection.sends_reply();
        }
    }

    /// Sends what the socket did not take before. Ready when nothing is left, or the socket is broken.
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.unsent.is_empty() {
            return Poll::Ready(());
        }
        let mut at = 0;
        let result = loop {
            match Pin::new(&mut self.stream).poll_write(context, &self.unsent[at..]) {
                Poll::Ready(Ok(sent)) => at += sent,
                Poll::Ready(Err(_)) => {
                    self.is_broken = true;
                    break Poll::Ready(());
                }
                Poll::Pending => break Poll::Pending,
            }
            if at == self.unsent.len() {
                self.progress += 1;
                break Poll::Ready(());
            }
        };
        SENT_BYTES.add(at as u64);
        if at > 0 {
            self.connection.has_moved();
        }
        self.unsent.drain(..at);
        if self.unsent.is_empty() {
            // An idle connection keeps no buffer.
            self.unsent = Vec::new();
            if self.file.is_none() {
                self.connection.is_done();
            }
        }
        result
    }

    /// From now on the parser has the socket, for one request.
    pub(super) fn begin_exchange(&mut self) -> Upgraded {
        self.framing = Framing::default();
        self.upgraded = Upgraded::default();
        self.is_unflushed = false;
        self.upgraded.clone()
    }

    /// Whether the parser has read a whole request and handed over all bytes that it had to send, so that the next request may be read.
    pub(super) fn is_exchanged(&self) -> bool {
        self.has_whole_request() && !self.is_unflushed && !self.upgraded.is_upgraded()
    }

    fn has_whole_request(&self) -> bool {
        self.framing.heads() > 0 && self.framing.is_between_requests()
    }

    /// Reads for the parser: the bytes of one request. Behind that, only whether the client is still there.
    pub(super) fn poll_read_request(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.upgraded.is_upgraded() {
            self.framing.stop();
        }
        if self.has_whole_request() {
            return self.poll_end(context);
        }
        let before = buffer.filled().len();
        if self.ahead.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let new = &mut buffer.filled_mut()[before..];
            RECEIVED_BYTES.add(new.len() as u64);
            let length = self.framing.check_one(new);
            self.ahead.extend_from_slice(&new[length..]);
            buffer.set_filled(before + length);
        } else {
            let fitting = self.ahead.len().min(buffer.remaining());
            let length = self.framing.check_one(&mut self.ahead[..fitting]);
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.drain(..length);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
        }
        self.connection.has_moved();
        Poll::Ready(Ok(()))
    }

    /// Ready, without a byte, when the client has closed the connection. Its next request is put ahead.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let mut space = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        RECEIVED_BYTES.add(buffer.filled().len() as u64);
        self.ahead.extend_from_slice(buffer.filled());
        self.connection.has_moved();
        Poll::Pending
    }

    /// The parser is about to send.
    pub(super) fn begin_write(&mut self) -> &mut TcpStream {
        self.is_unflushed = true;
        &mut self.stream
    }

    /// Takes note of what the parser has sent.
    pub(super) fn note_written(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(written) = written {
            SENT_BYTES.add(written.as_ref().map_or(0, |bytes| *bytes as u64));
            self.connection.has_moved();
        }
    }

    /// The parser has handed over all bytes that it had.
    pub(super) fn is_now_flushed(&mut self) {
        self.is_unflushed = false;
    }
}
