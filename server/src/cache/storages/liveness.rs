//! Whether a storage can be read from, as the hot path asks for it: once per request, without a lock.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use catalog::UnixTime;

/// Stands for the time at which a storage was last read from while it cannot be.
const LOST: i64 = -1;
/// Age in seconds from which on a sign of life is renewed beside the requests that rely on it.
const AGING: i64 = 1;
/// Age in seconds from which on it is renewed before anything is promised.
const STALE: i64 = 3;

/// When a storage last gave something, or that it does not.
///
/// A narinfo is in memory, so it could be handed out long after the storage with its NAR has died, and Nix would not ask
/// elsewhere. Therefore it is only handed out while there is a sign of life of the storage that is not older than
/// seconds. Every read is one; where there are none, one is asked for. An idle storage is asked for nothing.
pub struct Liveness {
    seen: AtomicI64,
    renewing: AtomicBool,
}

/// What a [`Liveness`] says at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It was read from a moment ago.
    Fresh,
    /// It was read from lately, and should be asked for a sign of life meanwhile. Said to one caller at a time.
    Aging,
    /// It has to be asked first.
    Stale,
    /// It cannot be read from.
    Lost,
}

impl Liveness {
    /// Of a storage that was not reached yet.
    pub(super) fn new() -> Self {
        Self { seen: AtomicI64::new(LOST), renewing: AtomicBool::new(false) }
    }

    /// What is known at `now`.
    pub(super) fn freshness(&self, now: UnixTime) -> Freshness {
        let seen = self.seen.load(Ordering::Relaxed);
        // A clock that was set back is no reason to trust a sign of life for long.
        match now.0.abs_diff(seen) {
            _ if seen == LOST => Freshness::Lost,
            age if age < AGING as u64 => Freshness::Fresh,
            age if age >= STALE as u64 => Freshness::Stale,
            _ if self.renewing.swap(true, Ordering::Relaxed) => Freshness::Fresh,
            _ => Freshness::Aging,
        }
    }

    /// Whether it was read from a moment ago, whoever is renewing that.
    pub(super) fn was_just_seen(&self, now: UnixTime) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        seen != LOST && now.0.abs_diff(seen) < AGING as u64
    }

    /// Whether the storage cannot be read from.
    pub fn is_lost(&self) -> bool {
        self.seen.load(Ordering::Relaxed) == LOST
    }

    /// Something was read. Does not bring a lost storage back: what was read may have been under way before.
    pub(super) fn seen(&self, now: UnixTime) {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen != LOST && seen != now.0 {
            let _ = self.seen.compare_exchange(seen, now.0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The storage answers.
    pub(super) fn revive(&self, now: UnixTime) {
        self.seen.store(now.0, Ordering::Relaxed);
        self.renewing.store(false, Ordering::Relaxed);
    }

    /// The storage does not answer. Returns whether it did until now.
    pub(super) fn lose(&self) -> bool {
        let before = self.seen.swap(LOST, Ordering::Relaxed);
        self.renewing.store(false, Ordering::Relaxed);
        before != LOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_is_renewed_beside_requests_first_and_before_them_later() {
        let reach = Liveness::new();
        assert_eq!(reach.freshness(UnixTime(100)), Freshness::Lost);
        reach.revive(UnixTime(100));
        assert_eq!(reach.freshness(UnixTime(100)), Freshness::Fresh);
        assert_eq!(reach.freshness(UnixTime(101)), Freshness::Aging);
        assert_eq!(reach.freshness(UnixTime(101)), Freshness::Fresh, "one renewal is enough");
        assert!(!reach.was_just_seen(UnixTime(101)), "whoever renews it has to ask");
        assert!(reach.was_just_seen(UnixTime(100)));
        assert_eq!(reach.freshness(UnixTime(103)), Freshness::Stale);
        assert_eq!(reach.freshness(UnixTime(50)), Freshness::Stale, "the clock was set back");
    }

    #[test]
    fn a_read_keeps_a_storage_fresh_but_does_not_bring_it_back() {
        let reach = Liveness::new();
        reach.revive(UnixTime(100));
        reach.seen(UnixTime(105));
        assert_eq!(reach.freshness(UnixTime(105)), Freshness::Fresh);
        assert!(reach.lose());
        assert!(!reach.lose());
        reach.seen(UnixTime(106));
        assert!(reach.is_lost());
        reach.revive(UnixTime(107));
        assert!(!reach.is_lost());
    }
}
