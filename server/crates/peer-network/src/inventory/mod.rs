//! The inventory of a node as a compact filter, so that a lookup of a path that a node does not have costs no request.
//!
//! An [`InventoryFilter`] is a Bloom filter over all paths of the public caches of a node, with 16 bits per path when it is full:
//! about one in 2,000 absent paths is a false positive. Denser filters exist, but peers can update this one in place, while a
//! denser one would be rebuilt and sent again for every change.

mod log;
mod message;

#[cfg(test)]
mod tests;

use nix_formats::StorePathHash;

pub use log::InventoryLog;
pub use message::{InventoryMessage, MOST_BYTES};

/// The version of the filters and their messages.
pub const VERSION: u8 = 1;

/// The bits per path.
const BITS: usize = 16;
/// The bits that a path sets.
const PROBES: u64 = 11;
/// The smallest capacity in paths.
const SMALLEST: usize = 1024;

/// A set of paths with false positives.
#[derive(Clone, Debug, PartialEq)]
pub struct InventoryFilter {
    words: Vec<u64>,
}

impl InventoryFilter {
    /// Returns an empty filter for that many paths.
    pub fn with_room_for(paths: usize) -> Self {
        Self { words: vec![0; paths.max(SMALLEST).saturating_mul(BITS).div_ceil(64)] }
    }

    /// Adds a path.
    pub fn insert(&mut self, path: &StorePathHash) {
        for bit in self.bits(path) {
            self.words[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Returns whether the set may contain the path. `false` is certain.
    pub fn may_contain(&self, path: &StorePathHash) -> bool {
        self.bits(path).all(|bit| self.words[bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// Returns the bits of a path. Store path hashes are hashes already, so two parts of one serve as two hash functions, from
    /// which the others are combined.
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

    /// Returns the size in memory and in a message, in bytes.
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
