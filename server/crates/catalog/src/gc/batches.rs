//! Batches of dead paths.

use std::time::Duration;

use super::census::{Census, GcPath};

/// The longest that tombstoning a batch should take. All other writes wait meanwhile.
const AT_MOST: Duration = Duration::from_millis(40);
/// A batch that takes less than this may be larger.
const AT_LEAST: Duration = Duration::from_millis(15);
/// The bounds of the size that [`Batches::took`] chooses.
const SMALLEST: usize = 8;
const LARGEST: usize = 256;

/// The first removable paths in order, in batches. See [`Census::batches`].
pub struct Batches<'c> {
    census: &'c Census,
    start: usize,
    count: usize,
    size: usize,
}

impl<'c> Batches<'c> {
    pub(super) fn new(census: &'c Census, count: usize, size: usize) -> Self {
        Self { census, start: 0, count, size }
    }

    /// Adapts the size of the following batches to the time that tombstoning the last one took: smaller if that was long,
    /// larger if it was short.
    pub fn took(&mut self, elapsed: Duration) {
        if elapsed > AT_MOST {
            self.size = (self.size / 2).max(SMALLEST);
        } else if elapsed < AT_LEAST {
            self.size = (self.size * 2).min(LARGEST);
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Vec<GcPath>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.start >= self.count {
            return None;
        }
        let traced = &self.census.traced;
        let mut end = (self.start + self.size).min(self.count);
        if let Some((_, last)) = traced.cycles.iter().find(|&&(first, last)| first < end && end <= last) {
            end = (last + 1).min(self.count);
        }
        let batch = traced.order[self.start..end].iter().map(|&path| self.census.path(path)).collect();
        self.start = end;
        Some(batch)
    }
}
