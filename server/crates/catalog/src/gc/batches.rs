//! Dead paths, a batch at a time.

use std::time::Duration;

use super::census::{Census, GcPath};

/// How long burying a batch should take, in which all other writes wait.
const AT_MOST: Duration = Duration::from_millis(40);
/// A batch that takes less than this may be larger.
const AT_LEAST: Duration = Duration::from_millis(15);
/// The sizes that [`Batches::took`] chooses among.
const SMALLEST: usize = 8;
const LARGEST: usize = 256;

/// The first paths that may go, in their order. See [`Census::batches`].
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

    /// Tells how long it took to bury the batch that was given last. Those that follow get smaller if that was long, and
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
