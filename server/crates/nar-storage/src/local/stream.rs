//! Streams of large files.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use rustix::fs::Advice;

use super::pool::{Buffer, CHUNK};
use super::read::{Reader, read_full};

/// A read on a blocking thread that returns the buffer and the number of bytes in it.
type Reading = Pin<Box<dyn Future<Output = io::Result<(Buffer, usize)>> + Send + Sync>>;

/// The number of streams that are open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Returns how many bytes are read at a time while so many streams are open.
///
/// A client that stops reading keeps what was read for it, so the more there are, the less each of them gets at a time. Large
/// pieces are for speed, which many streams at once have to share in any case.
fn piece_size(open: usize) -> usize {
    match open {
        0..=128 => CHUNK,
        129..=512 => 64 * 1024,
        _ => 16 * 1024,
    }
}

/// Counts a stream as long as it is open.
struct Counted;

impl Counted {
    fn new() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The read-ahead in bytes for a file that is not cached.
const READ_AHEAD: u64 = 4 * 1024 * 1024;

/// Part of a file as a stream of chunks.
///
/// It holds one buffer while it reads and none while it waits to be polled, so a slow reader costs only the chunks that it has
/// taken. It may end early; [`BlobStream`](crate::BlobStream) turns that into an error.
pub(super) struct FileStream {
    reader: Reader,
    /// The range still to be returned.
    range: Range<u64>,
    /// The end of the requested read-ahead. Behind the position as long as the file is cached.
    advised: u64,
    reading: Option<Reading>,
    _counted: Counted,
}

impl FileStream {
    pub(super) fn new(reader: Reader, range: Range<u64>) -> Self {
        Self { reader, range, advised: 0, reading: None, _counted: Counted::new() }
    }

    fn hand_out(&mut self, buffer: Buffer, len: usize) -> Option<io::Result<Bytes>> {
        if len == 0 {
            self.range.start = self.range.end;
            return None;
        }
        self.range.start += len as u64;
        Some(Ok(buffer.into_bytes(len)))
    }

    /// Returns the next part for the kernel to read ahead, if any.
    fn read_ahead(&mut self) -> Option<(u64, NonZeroU64)> {
        let from = self.advised.max(self.range.start);
        let to = self.range.end.min(self.range.start + READ_AHEAD);
        // Half a window at a time: not a call per chunk, but early enough that the disk never idles.
        if to.saturating_sub(from) < READ_AHEAD / 2 && to != self.range.end {
            return None;
        }
        self.advised = to;
        Some((from, NonZeroU64::new(to.saturating_sub(from))?))
    }

    fn read_blocking(&mut self, mut buffer: Buffer) -> Reading {
        let (reader, offset, ahead) = (self.reader.clone(), self.range.start, self.read_ahead());
        Box::pin(async move {
            let file = reader.file;
            let read = move || {
                if let Some(ahead) = ahead {
                    advise(&file, ahead);
                }
                let len = read_full(&file, buffer.as_mut(), offset)?;
                Ok((buffer, len))
            };
            reader.threads.run(read).await
        })
    }

    /// Returns the cached bytes at the position, if any.
    fn read_inline(&mut self, buffer: &mut Buffer) -> Option<usize> {
        if !self.reader.inline {
            return None;
        }
        let len = self.reader.read_inline(buffer.as_mut(), self.range.start);
        // Once a part came from the disk, the disk stays busy while the client takes the bytes.
        if len > 0
            && self.advised > 0
            && let Some(ahead) = self.read_ahead()
        {
            let file = self.reader.file.clone();
            self.reader.threads.run_aside(move || advise(&file, ahead));
        }
        Some(len).filter(|len| *len > 0)
    }
}

/// Asks the kernel to read `len` bytes from `offset` on. Blocks.
fn advise(file: &File, (offset, len): (u64, NonZeroU64)) {
    // Only advice: without it the following reads are slower.
    let _ = rustix::fs::fadvise(file, offset, Some(len), Advice::WillNeed);
}

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.range.is_empty() {
            return Poll::Ready(None);
        }
        if this.reading.is_none() {
            let most = piece_size(OPEN.load(Ordering::Relaxed));
            let len = usize::try_from(this.range.end - this.range.start).map_or(most, |left| left.min(most));
            let mut buffer = this.reader.pool.take(len);
            if let Some(len) = this.read_inline(&mut buffer) {
                return Poll::Ready(this.hand_out(buffer, len));
            }
            this.reading = Some(this.read_blocking(buffer));
        }
        let Some(reading) = &mut this.reading else { return Poll::Ready(None) };
        let done = ready!(reading.as_mut().poll(cx));
        this.reading = None;
        match done {
            Ok((buffer, len)) => Poll::Ready(this.hand_out(buffer, len)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests;
