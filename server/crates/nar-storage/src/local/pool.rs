//! A pool of read buffers.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// The size in bytes of a pooled buffer, which a stream reads at a time: large enough to make system calls cheap, small enough to be
/// still in the processor's cache when it is written to a socket.
pub(super) const CHUNK: usize = 256 * 1024;
/// The largest size in bytes for which a new buffer is cheaper than a pooled one.
const FRESH: usize = 64 * 1024;
/// The most idle buffers: 16 MiB.
const MAX_IDLE: usize = 64;

/// Reuses the buffers of finished reads. A new large buffer would be zeroed and faulted in page by page each time.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer to read into and then to [convert](Self::into_bytes). It returns to its pool when its last reader drops it.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    pool: Option<Arc<Pool>>,
}

impl Pool {
    /// Returns a buffer for `len` bytes, at most [`CHUNK`], with arbitrary content.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        debug_assert!(len <= CHUNK);
        if len <= FRESH {
            return Buffer { bytes: vec![0; len].into(), len, pool: None };
        }
        let idle = self.idle.lock().pop();
        let bytes = idle.unwrap_or_else(|| vec![0; CHUNK].into());
        Buffer { bytes, len, pool: Some(self.clone()) }
    }
}

impl Buffer {
    /// Returns the part to read into.
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Returns its first `len` bytes.
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
        let mut idle = pool.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests;
