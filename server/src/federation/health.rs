//! Who answers, how fast, and who is left alone for now.
//!
//! The original scored caches by response time, hit ratio, request rate and latency as their nodes reported them. Here only
//! what we see ourselves counts, how long a node takes to answer us, failures included: that is what a reader feels, it
//! contains the load of the other side and of the way there, and nobody can lie about it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

/// Failures in a row after which a cache is left alone.
const PATIENCE: u32 = 3;
/// For how long at first; twice as long after each attempt that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For how long a cache is left alone that sent something else than it promised.
const QUARANTINE: Duration = Duration::from_secs(120);
/// What is thought of a cache that was never asked: worth a try before one that is slow.
const UNKNOWN_LATENCY: Duration = Duration::from_millis(50);
/// Caches that are kept in mind.
const MOST: usize = 4096;

/// What is known of a cache.
#[derive(Clone, Debug)]
pub struct Health {
    /// How long it takes to answer, recent answers counting more.
    pub latency: Option<Duration>,
    /// Failures since the last success.
    pub failures: u32,
    /// Until when it is left alone.
    pub shunned_until: Option<Instant>,
}

/// What is known of all caches that were asked.
#[derive(Default)]
pub struct HealthBook(Mutex<HashMap<Url, Health>>);

impl HealthBook {
    /// Whether the cache may be asked now. One whose pause is over is tried by one, and left alone by all others until that
    /// has come out.
    pub fn admits(&self, cache: &Url) -> bool {
        let mut book = self.lock();
        let Some(health) = book.get_mut(cache) else { return true };
        match health.shunned_until {
            None => true,
            Some(until) if until > Instant::now() => false,
            Some(_) => {
                health.shunned_until = Some(Instant::now() + FIRST_PAUSE);
                true
            }
        }
    }

    /// How long the cache may be expected to take.
    pub fn expected_latency(&self, cache: &Url) -> Duration {
        self.lock().get(cache).and_then(|health| health.latency).unwrap_or(UNKNOWN_LATENCY)
    }

    /// It answered, after this time.
    pub fn answered(&self, cache: &Url, took: Duration) {
        self.note(cache, |health| {
            health.failures = 0;
            health.shunned_until = None;
            health.latency = Some(health.latency.map_or(took, |before| (before * 4 + took) / 5));
        });
    }

    /// It did not answer, or with an error.
    pub fn failed(&self, cache: &Url) {
        self.note(cache, |health| {
            health.failures = health.failures.saturating_add(1);
            if health.failures >= PATIENCE {
                let doublings = (health.failures - PATIENCE).min(5);
                health.shunned_until =
                    Some(Instant::now() + (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE));
            }
        });
    }

    /// It sent something else than it promised.
    pub fn lied(&self, cache: &Url) {
        self.note(cache, |health| {
            health.failures = health.failures.max(PATIENCE);
            health.shunned_until = Some(Instant::now() + QUARANTINE);
        });
    }

    /// What is known of a cache.
    pub fn get(&self, cache: &Url) -> Option<Health> {
        self.lock().get(cache).cloned()
    }

    fn note(&self, cache: &Url, note: impl FnOnce(&mut Health)) {
        let mut book = self.lock();
        if book.len() >= MOST && !book.contains_key(cache) {
            // Nodes come and go; what is forgotten here is measured again.
            book.clear();
        }
        let unknown = Health { latency: None, failures: 0, shunned_until: None };
        note(book.entry(cache.clone()).or_insert(unknown));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Url, Health>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_fails_again_and_again_is_left_alone_until_it_answers() {
        let (book, cache) = (HealthBook::default(), Url::parse("http://a").unwrap());
        for _ in 0..PATIENCE {
            assert!(book.admits(&cache));
            book.failed(&cache);
        }
        assert!(!book.admits(&cache));
        // When the pause is over, one may try.
        book.note(&cache, |health| health.shunned_until = Some(Instant::now()));
        assert!(book.admits(&cache));
        assert!(!book.admits(&cache));
        book.answered(&cache, Duration::from_millis(3));
        assert!(book.admits(&cache) && book.admits(&cache));
        assert_eq!(book.expected_latency(&cache), Duration::from_millis(3));
    }

    #[test]
    fn a_liar_is_left_alone_at_once() {
        let (book, cache) = (HealthBook::default(), Url::parse("http://a").unwrap());
        book.answered(&cache, Duration::from_millis(1));
        book.lied(&cache);
        assert!(!book.admits(&cache));
        assert!(book.admits(&Url::parse("http://b").unwrap()));
    }
}
