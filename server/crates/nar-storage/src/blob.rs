//! Objects opened for reading.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// An object, or a range of one, opened for reading.
#[derive(Debug)]
pub struct Blob {
    /// The size of the whole object in bytes.
    pub total_size: u64,
    /// The half-open range in bytes that the body holds.
    pub range: Range<u64>,
    body: BlobBody,
}

/// The bytes of a [`Blob`].
#[derive(Debug)]
pub enum BlobBody {
    /// All bytes at once.
    Bytes(Bytes),
    /// A stream of pieces.
    Stream(BlobStream),
}

impl Blob {
    /// Creates a blob from bytes in memory. For backends.
    pub fn from_bytes(total_size: u64, range: Range<u64>, bytes: Bytes) -> Self {
        debug_assert_eq!(bytes.len() as u64, range.end - range.start);
        Self { total_size, range, body: BlobBody::Bytes(bytes) }
    }

    /// Creates a blob from a stream of pieces, whose total length is checked. For backends.
    pub fn from_stream(
        total_size: u64,
        range: Range<u64>,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let body = BlobBody::Stream(BlobStream::new(range.end - range.start, pieces));
        Self { total_size, range, body }
    }

    /// Returns the number of bytes in the body.
    #[allow(clippy::len_without_is_empty, reason = "an empty object is nothing special to any caller")]
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Returns the body.
    pub fn into_body(self) -> BlobBody {
        self.body
    }

    /// Reads the whole body into memory, for objects known to be small. Fails as [`BlobStream`] does.
    pub async fn into_bytes(self) -> io::Result<Bytes> {
        match self.body {
            BlobBody::Bytes(bytes) => Ok(bytes),
            BlobBody::Stream(mut pieces) => {
                let mut all = BytesMut::new();
                while let Some(piece) = pieces.next().await {
                    all.extend_from_slice(&piece?);
                }
                Ok(all.freeze())
            }
        }
    }
}

/// The pieces of a body that is too large to be read at once.
///
/// The stream yields exactly the promised number of bytes, or ends with an error. A short object is never mistaken for a whole
/// one, whatever the backend does.
pub struct BlobStream {
    remaining: u64,
    pieces: Option<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>>,
}

impl BlobStream {
    fn new(len: u64, pieces: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static) -> Self {
        Self { remaining: len, pieces: Some(Box::pin(pieces)) }
    }

    /// Returns the number of bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Stream for BlobStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.remaining == 0 {
            this.pieces = None;
        }
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        let Poll::Ready(next) = pieces.as_mut().poll_next(cx) else { return Poll::Pending };
        let checked = match next {
            Some(Ok(piece)) if piece.len() as u64 <= this.remaining => {
                this.remaining -= piece.len() as u64;
                return Poll::Ready(Some(Ok(piece)));
            }
            Some(Ok(_)) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the object is longer than promised"))
            }
            Some(Err(error)) => Err(error),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the object is {} bytes shorter than promised", this.remaining),
            )),
        };
        this.pieces = None;
        Poll::Ready(Some(checked))
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
