//! Requests by route and by the class of their status, and how long the routes take.
//!
//! A route is a small number here, which the router gives it at the start.

use std::time::Instant;

use http::StatusCode;
use meters::{Counter, Histogram};

/// Most routes that there can be, [`UNMATCHED`] included.
pub const MOST_ROUTES: usize = 96;
/// The number that stands for no route: nothing has the path or method, or the client may not know of the cache.
pub const UNMATCHED: usize = MOST_ROUTES - 1;
/// The classes of statuses, by their first digit less one.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests of one cache, or of none.
pub struct RequestCounters {
    counts: [[Counter; CLASSES.len()]; MOST_ROUTES],
}

impl RequestCounters {
    /// All at 0.
    pub const fn new() -> Self {
        Self { counts: [const { [const { Counter::new() }; CLASSES.len()] }; MOST_ROUTES] }
    }

    /// Counts a reply. `route` is below [`MOST_ROUTES`].
    pub fn count(&self, route: usize, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        self.counts[route][class].increment();
    }

    /// Returns the number of replies, in the order of [`CLASSES`].
    pub fn of(&self, route: usize) -> [u64; CLASSES.len()] {
        std::array::from_fn(|class| self.counts[route][class].get())
    }
}

impl Default for RequestCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// Requests that belong to no cache.
pub static WITHOUT_CACHE: RequestCounters = RequestCounters::new();
/// How long each route takes until the head of its reply is there.
pub static DURATIONS: [Histogram; MOST_ROUTES] = [const { Histogram::of_durations() }; MOST_ROUTES];

/// Counts a reply of `counters` and the time since `begun`.
pub fn note(counters: &RequestCounters, route: usize, status: StatusCode, begun: Instant) {
    counters.count(route, status);
    DURATIONS[route].note_duration(begun.elapsed());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_counts_for_its_route_and_the_class_of_its_status() {
        let counters = RequestCounters::new();
        counters.count(3, StatusCode::OK);
        counters.count(3, StatusCode::NOT_FOUND);
        counters.count(3, StatusCode::UNAUTHORIZED);
        assert_eq!(counters.of(3), [0, 1, 0, 2, 0]);
        assert_eq!(counters.of(UNMATCHED), [0; 5]);
    }
}
