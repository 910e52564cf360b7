//! Who answers, how fast, and who is left alone for now.
//!
//! The original scored caches by response time, hit ratio, request rate and latency as their nodes reported them. Here only
//! what we see ourselves counts, how long a node takes to answer us, failures included: that is what a reader feels, it
//! contains the load of the other side and of the way there, and nobody can lie about it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix_formats::StorePathHash;
use parking_lot::{Mutex, MutexGuard};
use url::Url;

/// Failures in a row after which a cache is left alone.
const PATIENCE: u32 = 3;
/// For how long at first; twice as long after each attempt that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For how long a cache is not asked for a path again after it did not give what it promised of it.
const QUARANTINE: Duration = Duration::from_secs(120);
/// Paths in quarantine that are remembered.
const MOST_QUARANTINED: usize = 4096;
/// Complaints about the narinfos of a cache that are worth a line in the log, in this time.
const MOST_COMPLAINTS: u32 = 20;
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);
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
    /// The path for which it failed last.
    failed_for: Option<StorePathHash>,
    /// Whether somebody is trying it after a pause.
    is_on_trial: bool,
    /// When the log last began to count complaints, and how many there were since.
    complaints: Option<(Instant, u32)>,
}

/// What is known of all caches that were asked.
#[derive(Default)]
pub struct HealthBook {
    caches: Mutex<HashMap<Url, Health>>,
    /// What a cache promised and did not give, until when it is not asked for it. Only the path is in quarantine, never
    /// the cache: else anybody who knows of one damaged file there could switch it off for everybody.
    quarantine: Mutex<HashMap<(Url, StorePathHash), Instant>>,
}

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
                health.is_on_trial = true;
                true
            }
        }
    }

    /// How long the cache may be expected to take.
    pub fn expected_latency(&self, cache: &Url) -> Duration {
        self.latency(cache).unwrap_or(UNKNOWN_LATENCY)
    }

    /// How long the cache usually takes, if it was asked before.
    pub fn latency(&self, cache: &Url) -> Option<Duration> {
        self.lock().get(cache).and_then(|health| health.latency)
    }

    /// It answered, after this time.
    pub fn answered(&self, cache: &Url, took: Duration) {
        self.note(cache, |health| {
            health.failures = 0;
            health.shunned_until = None;
            health.is_on_trial = false;
            health.failed_for = None;
            health.latency = Some(health.latency.map_or(took, |before| (before * 4 + took) / 5));
        });
    }

    /// It did not answer when it was asked for the path, or with an error. That it fails for the same path again and again
    /// says no more than once: else anybody who knows of one such path could have it left alone for all others.
    pub fn failed(&self, cache: &Url, path: &StorePathHash) {
        self.note(cache, |health| {
            let is_on_trial = std::mem::take(&mut health.is_on_trial);
            let is_shunned = health.shunned_until.is_some_and(|until| until > Instant::now());
            if health.failed_for.replace(*path) == Some(*path) {
                if is_on_trial {
                    health.shunned_until = None;
                }
                return;
            }
            // Questions that were under way when the pause began end in it, and say nothing new.
            if is_shunned && !is_on_trial {
                return;
            }
            health.failures = health.failures.saturating_add(1);
            if health.failures >= PATIENCE {
                let doublings = (health.failures - PATIENCE).min(5);
                health.shunned_until =
                    Some(Instant::now() + (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE));
            }
        });
    }

    /// The cache did not give what it promised of the path, or something else. It is not asked for that path for a while.
    pub fn quarantine(&self, cache: &Url, path: &StorePathHash) {
        let now = Instant::now();
        let mut quarantine = self.quarantine.lock();
        if quarantine.len() >= MOST_QUARANTINED {
            quarantine.retain(|_, until| *until > now);
        }
        if quarantine.len() >= MOST_QUARANTINED {
            quarantine.clear();
        }
        quarantine.insert((cache.clone(), *path), now + QUARANTINE);
    }

    /// Whether the cache may be asked for the path, as far as that path goes.
    pub fn gives(&self, cache: &Url, path: &StorePathHash) -> bool {
        let quarantine = self.quarantine.lock();
        quarantine.get(&(cache.clone(), *path)).is_none_or(|until| *until <= Instant::now())
    }

    /// How many paths the cache is not asked for at the moment.
    pub fn quarantined(&self, cache: &Url) -> usize {
        let (now, quarantine) = (Instant::now(), self.quarantine.lock());
        quarantine.iter().filter(|((base, _), until)| base == cache && **until > now).count()
    }

    /// Whether one more complaint about the cache is worth a line in the log. Everybody can make us ask for paths.
    pub fn is_worth_a_line(&self, cache: &Url) -> bool {
        let mut is_worth = false;
        self.note(cache, |health| {
            let now = Instant::now();
            let (since, count) = health
                .complaints
                .filter(|(since, _)| now.duration_since(*since) < COMPLAINT_PERIOD)
                .unwrap_or((now, 0));
            is_worth = count < MOST_COMPLAINTS;
            health.complaints = Some((since, count.saturating_add(1)));
        });
        is_worth
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
        let unknown = Health {
            latency: None,
            failures: 0,
            failed_for: None,
            shunned_until: None,
            is_on_trial: false,
            complaints: None,
        };
        note(book.entry(cache.clone()).or_insert(unknown));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Url, Health>> {
        self.caches.lock()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(number: u8) -> StorePathHash {
        StorePathHash::from_bytes([number; 20])
    }

    #[test]
    fn a_cache_that_fails_again_and_again_is_left_alone_until_it_answers() {
        let (book, cache) = (HealthBook::default(), Url::parse("http://a").unwrap());
        for number in 0..PATIENCE as u8 {
            assert!(book.admits(&cache));
            book.failed(&cache, &path(number));
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
    fn questions_that_fail_together_count_once_and_failed_trials_make_the_pause_longer() {
        let (book, cache) = (HealthBook::default(), Url::parse("http://a").unwrap());
        let pause = || {
            let until = book.get(&cache).unwrap().shunned_until.unwrap();
            until.saturating_duration_since(Instant::now())
        };
        (0..100).for_each(|number| book.failed(&cache, &path(number)));
        assert!(pause() <= FIRST_PAUSE);
        book.note(&cache, |health| health.shunned_until = Some(Instant::now()));
        assert!(book.admits(&cache));
        (0..100).for_each(|number| book.failed(&cache, &path(number)));
        assert!(pause() > FIRST_PAUSE && pause() <= 2 * FIRST_PAUSE);
    }

    #[test]
    fn a_cache_is_not_asked_again_for_the_path_that_it_did_not_give_and_for_all_others() {
        let book = HealthBook::default();
        let (cache, other) = (Url::parse("http://a").unwrap(), Url::parse("http://b").unwrap());
        book.quarantine(&cache, &path(1));
        assert!(!book.gives(&cache, &path(1)));
        assert!(book.gives(&cache, &path(2)) && book.gives(&other, &path(1)));
        assert!(book.admits(&cache));
        // It does not take more memory than it may.
        for number in 0..2 * MOST_QUARANTINED as u32 {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            book.quarantine(&cache, &StorePathHash::from_bytes(bytes));
        }
        assert!(book.quarantine.lock().len() <= MOST_QUARANTINED);
    }

    #[test]
    fn one_path_for_which_a_cache_fails_does_not_cost_the_others() {
        let (book, cache) = (HealthBook::default(), Url::parse("http://a").unwrap());
        (0..100).for_each(|_| book.failed(&cache, &path(1)));
        assert!(book.admits(&cache));
        // Nor when it is tried after it failed for several.
        (2..10).for_each(|number| book.failed(&cache, &path(number)));
        assert!(!book.admits(&cache));
        book.note(&cache, |health| health.shunned_until = Some(Instant::now()));
        assert!(book.admits(&cache));
        book.failed(&cache, &path(9));
        assert!(book.admits(&cache));
    }

    #[test]
    fn complaints_do_not_fill_the_log() {
        let (book, cache) = (HealthBook::default(), Url::parse("http://a").unwrap());
        let lines = (0..1000).filter(|_| book.is_worth_a_line(&cache)).count();
        assert_eq!(lines, MOST_COMPLAINTS as usize);
        assert!(book.is_worth_a_line(&Url::parse("http://b").unwrap()));
    }
}
