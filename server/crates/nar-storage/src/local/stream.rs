//! Large files, a chunk at a time.

use std::{
    fs::File,
    io,
    num::NonZeroU64,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use rustix::fs::Advice;

use super::{
    pool::{Buffer, CHUNK},
    read::{Reader, read_full},
};

/// A read on a blocking thread, and how much of the buffer it has filled.
type Reading = Pin<Box<dyn Future<Output = io::Result<(Buffer, usize)>> + Send + Sync>>;

/// How far ahead of a file that is not in memory the kernel is told to read, in bytes.
const READ_AHEAD: u64 = 4 * 1024 * 1024;

/// Part of a file as a stream of chunks.
///
/// It holds one buffer while it reads and none while it waits to be polled: a slow reader costs no more than the
/// chunks it has taken. May end early; [`BlobStream`](crate::BlobStream) turns that into an error.
pub(super) struct FileStream {
    reader: Reader,
    /// What is still to be handed out.
    range: Range<u64>,
    /// Up to where the kernel was told to read. Behind the position as long as the file turns out to be in memory.
    advised: u64,
    reading: Option<Reading>,
}

impl FileStream {
    pub(super) fn new(reader: Reader, range: Range<u64>) -> Self {
        Self { reader, range, advised: 0, reading: None }
    }

    fn hand_out(&mut self, buffer: Buffer, len: usize) -> Option<io::Result<Bytes>> {
        if len == 0 {
            self.range.start = self.range.end;
            return None;
        }
        self.range.start += len as u64;
        Some(Ok(buffer.into_bytes(len)))
    }

    /// The part that the kernel should read next, if it has to be told.
    fn read_ahead(&mut self) -> Option<(u64, NonZeroU64)> {
        let from = self.advised.max(self.range.start);
        let to = self.range.end.min(self.range.start + READ_AHEAD);
        // Half a window at a time: not a call for every chunk, and not so late that the disk falls idle.
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

    /// What the kernel has in memory at the position, if it has anything.
    fn read_inline(&mut self, buffer: &mut Buffer) -> Option<usize> {
        if !self.reader.inline {
            return None;
        }
        let len = self.reader.read_inline(buffer.as_mut(), self.range.start);
        // Once part of the file has come from disk, the disk is kept busy while the client takes what it has read.
        if len > 0
            && self.advised > 0
            && let Some(ahead) = self.read_ahead()
        {
            let file = Arc::clone(&self.reader.file);
            self.reader.threads.run_aside(move || advise(&file, ahead));
        }
        Some(len).filter(|len| *len > 0)
    }
}

/// Tells the kernel to read `len` bytes from `offset` on. Blocks.
fn advise(file: &File, (offset, len): (u64, NonZeroU64)) {
    // Only advice: without it the reads that follow are slower, not wrong.
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
            let len =
                usize::try_from(this.range.end - this.range.start).map_or(CHUNK, |left| left.min(CHUNK));
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
