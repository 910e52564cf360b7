//! Small uploads: one part that stays in memory until it is stored, so that it costs one file on disk and no directory.
//!
//! Such an upload is lost with the process, as any upload in parts. A file that was sent in one piece, which outlives the process, is
//! never kept like this.

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::receive::BodyWriter;
use super::{Attempt, Location, Spool, Writing};

/// The largest part that is kept in memory, in bytes.
pub(super) const SMALL: u64 = 64 << 10;
/// The most bytes of all of them. Further ones go to disk.
const MEMORY: usize = 32 << 20;

/// The memory for small uploads.
pub struct SmallMemory(Arc<Semaphore>);

impl Default for SmallMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MEMORY)))
    }
}

impl SmallMemory {
    fn take(&self, len: u64) -> Option<Arc<OwnedSemaphorePermit>> {
        let len = u32::try_from(len).ok().filter(|&len| u64::from(len) <= SMALL)?;
        self.0.clone().try_acquire_many_owned(len).ok().map(Arc::new)
    }
}

/// The bytes of a part in memory.
#[derive(Clone, Debug)]
pub struct SmallBytes {
    bytes: Bytes,
    _share: Arc<OwnedSemaphorePermit>,
}

impl SmallBytes {
    /// The bytes, which do not count as part of the memory for small uploads once this is dropped.
    pub fn to_bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Reads bytes from `position` on into `buffer` and returns how many there were.
    pub(super) fn read_at(&self, buffer: &mut [u8], position: u64) -> usize {
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(self.bytes.len());
        let len = buffer.len().min(self.bytes.len() - from);
        buffer[..len].copy_from_slice(&self.bytes[from..from + len]);
        len
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Takes one attempt of a small part. Dropping it before [`SmallPart::finish`] abandons the attempt.
pub struct SmallPart {
    spool: Arc<Spool>,
    attempt: Attempt,
    bytes: Vec<u8>,
    share: Arc<OwnedSemaphorePermit>,
}

impl SmallPart {
    /// How many bytes it has.
    pub fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Takes the part as arrived, and returns its bytes.
    pub fn finish(mut self, md5: [u8; 16]) -> (Attempt, SmallBytes) {
        let bytes = SmallBytes { bytes: std::mem::take(&mut self.bytes).into(), _share: self.share.clone() };
        let location = Location::Memory(bytes.clone());
        self.spool.finish(self.attempt, bytes.len() as u64, md5, location);
        (self.attempt, bytes)
    }
}

impl BodyWriter for SmallPart {
    const BLOCKS: bool = false;

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Drop for SmallPart {
    fn drop(&mut self) {
        // Nothing is left there of a part that has arrived.
        if self.spool.lock().writing.remove(&self.attempt).is_some() {
            self.spool.changed.notify_all();
        }
    }
}

impl Spool {
    /// Begins an attempt to upload `part` of `len` bytes in memory. None if it is not small or not the first, if others use the memory, or
    /// if there is something on disk already.
    pub fn begin_small(
        self: &Arc<Self>,
        part: u32,
        len: Option<u64>,
        memory: &SmallMemory,
    ) -> Option<SmallPart> {
        let len = len.filter(|_| part == 1 && self.directory().is_none())?;
        let share = memory.take(len)?;
        let mut state = self.lock();
        let attempt = state.next_attempt();
        let nothing = SmallBytes { bytes: Bytes::new(), _share: share.clone() };
        state.writing.insert(attempt, Writing { part, location: Location::Memory(nothing), written: 0 });
        drop(state);
        self.changed.notify_all();
        let bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        Some(SmallPart { spool: self.clone(), attempt, bytes, share })
    }
}
