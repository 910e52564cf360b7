//! Buffers to read into.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::lock;

/// Size in bytes of a pooled buffer, which is what a stream reads at a time. Large enough to make system calls cheap,
/// small enough to be still in the processor's cache when it is written to a socket.
pub(super) const CHUNK: usize = 256 * 1024;
/// Up to here a fresh buffer costs less than a pooled one would waste.
const FRESH: usize = 64 * 1024;
/// Idle buffers kept: 16 MiB.
const MAX_IDLE: usize = 64;

/// Keeps the buffers of finished reads. A fresh large one would have every page of it faulted in and zeroed each time.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer to read into, then [passed on](Self::into_bytes). It returns to its pool when its last reader is done.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    pool: Option<Arc<Pool>>,
}

impl Pool {
    /// A buffer for `len` bytes, at most [`CHUNK`]. What is in it is of no meaning.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        debug_assert!(len <= CHUNK);
        if len <= FRESH {
            return Buffer { bytes: vec![0; len].into(), len, pool: None };
        }
        let idle = lock(&self.idle).pop();
        let bytes = idle.unwrap_or_else(|| vec![0; CHUNK].into());
        Buffer { bytes, len, pool: Some(Arc::clone(self)) }
    }
}

impl Buffer {
    /// The part to read into.
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Its first `len` bytes.
    pub(super) fn into_bytes(mut self, len: usize) -> Bytes {
        debug_assert!(len <= self.len);
        self.len = len;
        if self.pool.is_some() {
            return Bytes::from_owner(self);
        }
        let mut bytes = Bytes::from(std::mem::take(&mut self.bytes));
        bytes.truncate(len);
        bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(pool) = &self.pool else { return };
        let mut idle = lock(&pool.idle);
        if idle.len() < MAX_IDLE {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests;
