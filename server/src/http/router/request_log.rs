//! The log of requests, under the target `requests`: at `debug` a sample of them, at `trace` each one.
//!
//! It is off by default, and then costs one comparison a request. The query is left out, as it can hold signatures.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::{Method, StatusCode};
use tracing::Level;

use crate::cache::Cache;

/// The requests of a second that are logged one by one. Those that come after them are sampled.
const ONE_BY_ONE: u64 = 10;
/// Of the further ones of a second, one in so many is logged.
const ONE_OF: u64 = 100;

static SAMPLER: Sampler = Sampler::new();

/// A line that is written once its request is answered.
pub(super) struct Line {
    method: Method,
    path: String,
    /// Who sent it, where that is known: the shortcuts do not look.
    client: Option<IpAddr>,
    begun: Instant,
    /// How many requests the line stands for.
    stands_for: u64,
}

impl Line {
    /// Begins the line of a request. `None` if it gets none.
    pub(super) fn begin(method: &Method, path: &str, client: Option<IpAddr>) -> Option<Self> {
        if !tracing::enabled!(target: "requests", Level::DEBUG) {
            return None;
        }
        let begun = Instant::now();
        let wants_all = tracing::enabled!(target: "requests", Level::TRACE);
        let stands_for = if wants_all { 1 } else { SAMPLER.take(begun)? };
        Some(Self { method: method.clone(), path: path.to_owned(), client, begun, stands_for })
    }

    /// Has the time of the request begin earlier.
    pub(super) fn since(self, begun: Instant) -> Self {
        Self { begun, ..self }
    }

    /// Writes the line.
    pub(super) fn end(self, cache: Option<&Cache>, status: StatusCode) {
        tracing::debug!(
            target: "requests",
            method = self.method.as_str(),
            path = self.path,
            status = status.as_u16(),
            cache = cache.map(Cache::name),
            client = self.client.map(tracing::field::display),
            microseconds = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            stands_for = self.stands_for,
            "answered"
        );
    }
}

/// Chooses what to log: the first requests of each second, then one of many.
struct Sampler {
    /// The second that is counted, since the first request.
    second: AtomicU64,
    /// Requests in it.
    count: AtomicU64,
}

impl Sampler {
    const fn new() -> Self {
        Self { second: AtomicU64::new(0), count: AtomicU64::new(0) }
    }

    /// Returns how many requests the line about this one stands for. `None` if it gets no line.
    fn take(&self, now: Instant) -> Option<u64> {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        let first = FIRST.get_or_init(|| now);
        self.take_in(now.saturating_duration_since(*first).as_secs())
    }

    /// Requests that begin a second at the same time may count for each other; a line more or less does not matter.
    fn take_in(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.count.store(0, Ordering::Relaxed);
        }
        match self.count.fetch_add(1, Ordering::Relaxed).checked_sub(ONE_BY_ONE) {
            None => Some(1),
            Some(further) => ((further + 1) % ONE_OF == 0).then_some(ONE_OF),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_requests_are_logged_one_by_one_and_of_many_a_sample_that_stands_for_all() {
        let sampler = Sampler::new();
        let taken: Vec<u64> = (0..ONE_BY_ONE + 5 * ONE_OF).filter_map(|_| sampler.take_in(1)).collect();
        assert_eq!(taken.len() as u64, ONE_BY_ONE + 5);
        assert_eq!(taken.iter().sum::<u64>(), ONE_BY_ONE + 5 * ONE_OF);
        assert_eq!(sampler.take_in(2), Some(1), "the next second begins anew");
    }
}
