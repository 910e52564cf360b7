//! What a node holds, in few bytes: enough for others to know, without asking, that it does not have a path.
//!
//! A [`Digest`] is a Bloom filter over all paths of the public caches of a node, of 16 bits per path when it is full: it
//! names about one of 2,000 paths that are not there. A filter that others can add to bit by bit was preferred to a
//! denser one that has to be built and sent anew for every change.

mod log;
mod message;

#[cfg(test)]
mod tests;

use nix_formats::StorePathHash;

pub use log::DigestLog;
pub use message::{DigestMessage, MOST_BYTES};

/// Version of the digests and the messages they travel in.
pub const VERSION: u8 = 1;

/// Bits for each path.
const BITS: usize = 16;
/// Bits that a path sets.
const PROBES: u64 = 11;
/// Fewest paths that there is room for.
const SMALLEST: usize = 1024;

/// A set of paths that may name some that are not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    words: Vec<u64>,
}

impl Digest {
    /// An empty one for that many paths.
    pub fn with_room_for(paths: usize) -> Self {
        Self { words: vec![0; paths.max(SMALLEST).saturating_mul(BITS).div_ceil(64)] }
    }

    /// Adds a path.
    pub fn insert(&mut self, path: &StorePathHash) {
        for bit in self.bits(path) {
            self.words[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether the path may be in it; if not, it is not.
    pub fn may_contain(&self, path: &StorePathHash) -> bool {
        self.bits(path).all(|bit| self.words[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// Hashes of store paths are hashes already, so their halves are as good as two hash functions, and those as many.
    fn bits(&self, path: &StorePathHash) -> impl Iterator<Item = usize> + use<> {
        let bytes = path.as_bytes();
        let half = |from: usize| {
            let mut half = [0; 8];
            half.copy_from_slice(&bytes[from..from + 8]);
            u64::from_le_bytes(half)
        };
        let (first, step, count) = (half(0), half(8) | 1, self.words.len() as u128 * 64);
        (0..PROBES).map(move |probe| {
            let value = first.wrapping_add(probe.wrapping_mul(step));
            // Scaled to the number of bits, which is less than 2^64.
            ((u128::from(value) * count) >> 64) as usize
        })
    }

    /// Bytes of memory, and of a message.
    pub fn len_in_bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        (!words.is_empty() && rest.is_empty()).then_some(Self { words })
    }
}
