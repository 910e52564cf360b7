//! Answers to plain requests that take no waiting, given in front of the HTTP parser and the routes.

use std::io;
use std::ops::Range;

use futures_util::future::BoxFuture;
use http_framing::plain::Plain;
use nar_storage::{Blob, FileObject};

/// Answers some plain requests at once.
///
/// A reply has to be the one that the routes would give, byte for byte.
pub trait Shortcut: Send + Sync {
    /// Writes the reply, or leaves the request to the parser and the routes.
    fn answer(&self, request: &Plain<'_>, output: &mut Output) -> Answered;
}

/// What became of a request.
pub enum Answered {
    /// It is left to the parser. Nothing was written.
    No,
    /// The whole reply was written.
    Whole,
    /// The head of the reply was written. A file follows.
    WithFile(FileBody),
}

/// A file that is the body of a reply, or the rest of one.
pub struct FileBody {
    /// The file.
    pub file: FileObject,
    /// The bytes of it that are the body.
    pub range: Range<u64>,
    /// How many of these bytes were written already, behind the head of the reply.
    pub prefetched: usize,
    /// Where else the bytes are, if they are.
    pub elsewhere: Option<Box<dyn Elsewhere>>,
}

/// Finds the rest of a body whose file cannot be read to its end.
pub trait Elsewhere: Send + Sync {
    /// Opens these bytes elsewhere, after `error`. `None` if nobody can give them.
    fn open(&self, range: Range<u64>, error: io::Error) -> BoxFuture<'_, Option<Blob>>;
}

/// Replies on their way to a socket.
#[derive(Default)]
pub struct Output {
    /// Longer than what is in use, so that a file can be read into it without being zeroed first.
    bytes: Vec<u8>,
    length: usize,
}

impl Output {
    /// The most bytes of a file that are sent together with the head of the reply.
    pub const MOST_OF_FILE: usize = 128 << 10;
    /// From here on replies are sent before the next request is looked at.
    const FULL: usize = 16 << 10;

    /// An empty one.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), length: 0 }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if end > self.bytes.len() {
            self.grow(end);
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        self.bytes.resize(length.max(2 * Self::FULL), 0);
    }

    /// Adds the start of `file`, which has `size` bytes, as far as the kernel has it in memory. Returns the number of bytes.
    pub fn push_file(&mut self, file: &FileObject, size: u64) -> usize {
        let end = self.length
            + usize::try_from(size).map_or(Self::MOST_OF_FILE, |size| size.min(Self::MOST_OF_FILE));
        if end > self.bytes.len() {
            self.grow(end);
        }
        let read = file.read_cached(&mut self.bytes[self.length..end]);
        self.length += read;
        read
    }

    /// Takes back what was added since there were `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.length >= Self::FULL
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }
}
