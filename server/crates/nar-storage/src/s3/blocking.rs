//! A body read on a blocking thread.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::runtime::Handle;

use crate::BlobStream;

/// Reads a body that arrives on the runtime. Holds a piece of it at a time.
pub(super) struct BlockingReader {
    runtime: Handle,
    pieces: BlobStream,
    piece: Bytes,
}

impl BlockingReader {
    pub(super) fn new(runtime: Handle, pieces: BlobStream) -> Self {
        Self { runtime, pieces, piece: Bytes::new() }
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && !buffer.is_empty() {
            match self.runtime.block_on(self.pieces.next()) {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let len = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}
