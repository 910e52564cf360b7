//! Counters and histograms that cost an addition to an atomic each, so that the busiest code can afford them.
//!
//! They have no names: who shows them knows what they count. Nothing here locks or allocates.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Counts up since the program started.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter at 0.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `number`.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Returns what has been counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// A gauge at 0.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to the value; a negative number takes away.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// Returns the value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Most upper bounds that a histogram may have.
pub const MOST_BOUNDS: usize = 12;

/// Upper bounds of durations in microseconds, from what memory takes to what a broken disk takes.
pub const DURATIONS: &[u64] =
    &[100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

/// How many values were how large.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// The values up to each bound that are above the one before; behind them, those above all bounds.
    buckets: [Counter; MOST_BOUNDS + 1],
    sum: Counter,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Each upper bound, and how many values are up to it but above the bound before.
    pub within: Vec<(u64, u64)>,
    /// How many values are above all bounds.
    pub above: u64,
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// Returns the number of all values.
    pub fn count(&self) -> u64 {
        self.within.iter().map(|(_, count)| count).sum::<u64>() + self.above
    }
}

impl Histogram {
    /// A histogram with these upper bounds, at most [`MOST_BOUNDS`], in ascending order.
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= MOST_BOUNDS, "a histogram has a fixed number of buckets");
        Self { bounds, buckets: [const { Counter::new() }; MOST_BOUNDS + 1], sum: Counter::new() }
    }

    /// A histogram of [`DURATIONS`].
    pub const fn of_durations() -> Self {
        Self::new(DURATIONS)
    }

    /// Notes a value.
    pub fn note(&self, value: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound);
        self.buckets[bucket.unwrap_or(self.bounds.len())].increment();
        self.sum.add(value);
    }

    /// Notes a duration, in microseconds.
    pub fn note_duration(&self, duration: Duration) {
        self.note(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns the values so far. One that is noted meanwhile may be missing in the sum.
    pub fn read(&self) -> Distribution {
        let counts = self.bounds.iter().zip(&self.buckets);
        Distribution {
            within: counts.map(|(bound, bucket)| (*bound, bucket.get())).collect(),
            above: self.buckets[self.bounds.len()].get(),
            sum: self.sum.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_one_bucket() {
        let histogram = Histogram::new(&[10, 100]);
        for value in [3, 10, 11, 1000] {
            histogram.note(value);
        }
        let read = histogram.read();
        assert_eq!(read, Distribution { within: vec![(10, 2), (100, 1)], above: 1, sum: 1024 });
        assert_eq!(read.count(), 4);
    }

    #[test]
    fn durations_are_in_microseconds() {
        let histogram = Histogram::of_durations();
        histogram.note_duration(Duration::from_millis(7));
        let read = histogram.read();
        assert_eq!((read.sum, read.count()), (7_000, 1));
        assert_eq!(read.within.iter().find(|(_, count)| *count == 1), Some(&(10_000, 1)));
    }
}
