//! How a large file is cut into parts.

use std::ops::Range;

/// Smallest size of a part, in bytes, and largest one of a file that is stored in one piece. S3 allows 5 MiB and
/// 5 GiB; with this one 4 parts on their way fill most lines, and one of them is soon sent again.
pub(super) const PART: u64 = 16 << 20;
/// Most parts that S3 allows.
const MAX_PARTS: u64 = 10_000;
/// Sizes of parts are multiples of it.
const STEP: u64 = 1 << 20;

/// The parts, in order, of a file of `len` bytes, one at least. All but the last have the same size, as some services
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
