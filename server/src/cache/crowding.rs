//! Caches that make room by collecting what was not used for the longest time (`when-full: collect`).
//!
//! A push that finds no room says how much it needs and waits for the next collection; a worker does that. It also begins one
//! by itself a little before the cache is full, so that pushes seldom have to wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Cache;
use crate::config::WhenFull;

/// How long a push waits for a collection.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pushes to a cache that wait for room.
pub struct Crowding {
    /// What they need together, in bytes.
    needed: AtomicU64,
    /// The number of collections that have ended.
    rounds: watch::Sender<u64>,
}

impl Default for Crowding {
    fn default() -> Self {
        Self { needed: AtomicU64::new(0), rounds: watch::Sender::new(0) }
    }
}

impl Crowding {
    /// Has room made for `size` bytes, for which `wake` is to be called, and waits until that was tried.
    pub async fn wait_for_room(&self, size: u64, wake: impl FnOnce()) {
        let mut rounds = self.rounds.subscribe();
        self.needed.fetch_add(size.max(1), Ordering::AcqRel);
        wake();
        let _ = tokio::time::timeout(PATIENCE, rounds.changed()).await;
    }

    /// A collection has ended, whatever came of it.
    pub fn collected(&self) {
        self.needed.store(0, Ordering::Release);
        self.rounds.send_modify(|rounds| *rounds += 1);
    }
}

/// The size in bytes to which the NARs of a cache are to be collected, if it is to be collected because it is full.
pub fn size_to_collect(cache: &Cache) -> Option<u64> {
    let config = cache.config();
    if config.when_full != WhenFull::Collect {
        return None;
    }
    let needed = cache.crowding.needed.load(Ordering::Acquire);
    let snapshots = cache.storages().snapshot();
    let used: u64 = snapshots.iter().map(|storage| storage.used + storage.reserved).sum();
    let by_products: u64 = snapshots.iter().map(|storage| storage.by_products).sum();
    let all = used.saturating_add(by_products);
    // A tenth at once, so that it takes a while until the next time.
    let fitting = |most: u64| (most - most / 10).min(most.saturating_sub(needed)).saturating_sub(by_products);
    match config.max_size {
        // A little before it is full.
        Some(most) if all.saturating_add(needed) > most || all > most - most / 20 => Some(fitting(most)),
        _ if needed == 0 || cache.storages().propose(Some(needed)).is_ok() => None,
        // The storages are full.
        _ => Some(used.saturating_sub(needed.max(used / 10))),
    }
}
