//! Memory for decompressors: what a compressed stream asks for is its maker's choice, so all of them share a budget.

use std::io;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

const MIB: u64 = 1 << 20;

/// Most memory in bytes that one stream may ask for, whatever its format: the window of 128 MiB of `zstd --ultra -22`, and
/// the rest of a decoder. `xz -9` needs 65 MiB.
pub const MOST_PER_DECODER: u64 = 136 * MIB;

/// Decoders of what is on disk. They end by themselves.
static STORED: DecoderMemory = DecoderMemory::new(2 * MOST_PER_DECODER);
/// Decoders of pushes that are still arriving.
static ARRIVING: DecoderMemory = DecoderMemory::new(128 * MIB);
/// Decoders of what another machine sends.
static RELAYED: DecoderMemory = DecoderMemory::new(256 * MIB);
/// Decoders whose output a client reads.
static SERVED: DecoderMemory = DecoderMemory::new(2 * MOST_PER_DECODER);

/// What a decoder reads, which says from which budget its memory comes. Decoders that wait for another machine have budgets
/// of their own, so that they hold up nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoderKind {
    /// Bytes that are all there.
    Stored,
    /// A push that is still arriving. Its decoder gets memory at once or not at all, and not much: such a push can be
    /// decoded once it is complete.
    Arriving,
    /// A reply of another machine.
    Relayed,
    /// Bytes that are all there, for a client that may read slowly.
    Served,
}

impl DecoderKind {
    fn memory(self) -> &'static DecoderMemory {
        match self {
            Self::Stored => &STORED,
            Self::Arriving => &ARRIVING,
            Self::Relayed => &RELAYED,
            Self::Served => &SERVED,
        }
    }

    /// Most bytes for one decoder.
    fn most(self) -> u64 {
        match self {
            Self::Arriving => 16 * MIB,
            Self::Stored | Self::Relayed | Self::Served => MOST_PER_DECODER,
        }
    }

    /// How long to wait for other decoders to end.
    fn patience(self) -> Duration {
        match self {
            Self::Arriving => Duration::ZERO,
            Self::Served => Duration::from_secs(2),
            Self::Relayed => Duration::from_secs(30),
            Self::Stored => Duration::from_secs(120),
        }
    }
}

/// A stream asks for more memory than any decoder gets.
#[derive(Debug, thiserror::Error)]
#[error("the compressed file needs more than {} MiB of memory to unpack", MOST_PER_DECODER / MIB)]
pub struct TooMuchMemory;

/// Other decoders use the memory.
#[derive(Debug, thiserror::Error)]
#[error("too many files are being unpacked; try again later")]
pub struct DecodersBusy;

impl DecodersBusy {
    /// Whether this is why reading from a decoder failed.
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

struct DecoderMemory {
    free: Mutex<u64>,
    freed: Condvar,
}

impl DecoderMemory {
    const fn new(bytes: u64) -> Self {
        Self { free: Mutex::new(bytes), freed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock()
    }
}

/// The memory of one decoder; given back when dropped.
#[derive(Debug)]
pub struct DecoderShare {
    kind: DecoderKind,
    bytes: u64,
}

impl DecoderShare {
    /// No memory yet.
    pub fn new(kind: DecoderKind) -> Self {
        Self { kind, bytes: 0 }
    }

    /// Grows to `bytes` in total. Blocks, for a bounded time, while other decoders use the memory.
    pub fn grow_to(&mut self, bytes: u64) -> io::Result<()> {
        if bytes > MOST_PER_DECODER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TooMuchMemory));
        }
        let busy = || io::Error::new(io::ErrorKind::ResourceBusy, DecodersBusy);
        if bytes > self.kind.most() {
            return Err(busy());
        }
        let more = bytes.saturating_sub(self.bytes);
        let memory = self.kind.memory();
        let deadline = Instant::now() + self.kind.patience();
        let mut free = memory.lock();
        while *free < more {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(busy());
            }
            memory.freed.wait_for(&mut free, left);
        }
        *free -= more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for DecoderShare {
    fn drop(&mut self) {
        let memory = self.kind.memory();
        *memory.lock() += self.bytes;
        memory.freed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_stream_gets_more_than_the_limit() {
        let mut share = DecoderShare::new(DecoderKind::Stored);
        share.grow_to(MOST_PER_DECODER).unwrap();
        let refused = share.grow_to(MOST_PER_DECODER + 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn memory_in_use_is_waited_for_and_given_back() {
        let mut first = DecoderShare::new(DecoderKind::Served);
        first.grow_to(MOST_PER_DECODER).unwrap();
        let mut other = DecoderShare::new(DecoderKind::Served);
        other.grow_to(MOST_PER_DECODER).unwrap();
        let mut second = DecoderShare::new(DecoderKind::Served);
        let refused = second.grow_to(1).unwrap_err();
        assert!(DecodersBusy::is_cause_of(&refused));
        let waiting = std::thread::spawn(move || second.grow_to(1).map(|()| second));
        drop(first);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn a_push_under_way_is_not_decoded_at_the_cost_of_others() {
        let refused = DecoderShare::new(DecoderKind::Arriving).grow_to(32 * MIB).unwrap_err();
        assert!(DecodersBusy::is_cause_of(&refused));
    }
}
