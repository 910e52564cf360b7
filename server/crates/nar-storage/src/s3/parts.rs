//! The division of a large file into parts.

use std::ops::Range;

/// The smallest size of a part in bytes, and the largest size of a file that is stored in one piece. S3 allows 5 MiB and 5 GiB; with
/// this size, 4 concurrent parts saturate most links, and a retry of one is quick.
pub(super) const PART: u64 = 16 << 20;
/// The most parts that S3 allows.
const MAX_PARTS: u64 = 10_000;
/// Sizes of parts are multiples of this.
const STEP: u64 = 1 << 20;

/// Returns the parts of a file of `len` bytes in order, at least one. All but the last have the same size, as some services
/// require.
pub(super) fn parts(len: u64) -> impl ExactSizeIterator<Item = Range<u64>> {
    let size = len.div_ceil(MAX_PARTS).next_multiple_of(STEP).max(PART);
    let count = u32::try_from(len.div_ceil(size).max(1)).unwrap_or(u32::MAX);
    (0..count).map(move |number| {
        let start = u64::from(number) * size;
        start..(start + size).min(len)
    })
}

#[cfg(test)]
mod tests;
