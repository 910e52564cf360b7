//! Moves files between tiers: what is read again to faster ones, and what was not read for long, or is in the way, to slower ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{StorageId, UnixTime, UsedFile};
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::cache::tiers::Room;
use crate::core::Core;

/// The longest pause between two looks at what is to be demoted.
const PAUSE: Duration = Duration::from_secs(5);
/// A search for files that were not used for long, which came to nothing, is not repeated before so many times as long has passed as it
/// took. Nor before a hundredth of the time after which files are demoted, within these limits.
const SPACING: u32 = 50;
const SHORTEST_SEARCH_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_SEARCH_PAUSE: Duration = Duration::from_secs(3600);
/// The pause after a storage could not be relieved.
const STUCK: Duration = Duration::from_secs(60);
/// Files that are looked up at once, and that are moved at once.
const PAGE: u64 = 512;
const BATCH: usize = 16;

/// Moves files between tiers.
pub(super) struct Tiers {
    /// When files that were not used for long are looked for next.
    searches: HashMap<StorageId, Instant>,
    promoted: u64,
    demoted: u64,
    /// The fast storages that could not be relieved, and when that is tried again.
    stuck: HashMap<StorageId, (String, Instant)>,
}

impl Tiers {
    pub(super) fn new() -> Self {
        Self { searches: HashMap::new(), promoted: 0, demoted: 0, stuck: HashMap::new() }
    }

    /// Promotes what was read lately.
    async fn promote(
        &mut self,
        core: &Core,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        while !stop.is_cancelled() {
            let waiting = cache.tiers.take_waiting(BATCH);
            if waiting.is_empty() {
                return Ok(());
            }
            cache.record_uses(&core.catalog).await?;
            self.promoted += core.nar_store.promote(cache, &waiting, stop).await?;
        }
        Ok(())
    }

    /// Relieves a storage that has too little room for pushes.
    async fn relieve(
        &mut self,
        core: &Core,
        cache: &Arc<Cache>,
        storage: &Arc<CacheStorage>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let room = || cache.storages().room_on(storage);
        if !room().is_some_and(Room::is_short) {
            self.stuck.remove(&storage.id);
            return Ok(());
        }
        if self.stuck.get(&storage.id).is_some_and(|(_, due)| Instant::now() < *due) {
            return Ok(());
        }
        cache.record_uses(&core.catalog).await?;
        loop {
            let (begun, now) = (Instant::now(), UnixTime(UnixTime::now().0 + 1));
            let coldest = core.nar_store.coldest(cache, storage, now, PAGE).await?;
            let searched = begun.elapsed();
            let (mut rest, mut moved) = (&coldest[..], 0);
            while !rest.is_empty() {
                let lacking = room().map_or(0, Room::lacking);
                if lacking == 0 || stop.is_cancelled() {
                    self.stuck.remove(&storage.id);
                    return Ok(());
                }
                let mut bytes = 0;
                let is_needed = |file: &&UsedFile| {
                    let is_needed = bytes < lacking;
                    bytes += file.nar.file_size;
                    is_needed
                };
                let (some, later) = rest.split_at(rest.iter().take(BATCH).take_while(is_needed).count());
                moved += self.demote(core, cache, storage, some, stop).await?;
                rest = later;
            }
            if moved == 0 {
                let pause = STUCK.max(searched * SPACING);
                let name = format!("{}/{}", cache.name(), storage.name());
                self.stuck.insert(storage.id, (name, Instant::now() + pause));
                return Ok(());
            }
        }
    }

    async fn demote(
        &mut self,
        core: &Core,
        cache: &Arc<Cache>,
        storage: &Arc<CacheStorage>,
        files: &[UsedFile],
        stop: &CancellationToken,
    ) -> Result<u64, Failure> {
        let moved = core.nar_store.demote(cache, storage, files, stop).await?;
        self.demoted += moved;
        Ok(moved)
    }

    /// Demotes what was not used for so long.
    async fn demote_unused(
        &mut self,
        core: &Core,
        cache: &Arc<Cache>,
        (storage, after): (&Arc<CacheStorage>, Duration),
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        if self.searches.get(&storage.id).is_some_and(|due| Instant::now() < *due) {
            return Ok(());
        }
        // Nothing is unused for long only because the clock jumped.
        if !core.clock.is_steady_for(core.config().server.gc_grace) {
            return Ok(());
        }
        cache.record_uses(&core.catalog).await?;
        loop {
            let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
            let since = UnixTime(UnixTime::now().0.saturating_sub(seconds));
            let begun = Instant::now();
            let coldest = core.nar_store.coldest(cache, storage, since, PAGE).await?;
            let searched = begun.elapsed();
            let mut moved = 0;
            for some in coldest.chunks(BATCH) {
                let begun = Instant::now();
                moved += self.demote(core, cache, storage, some, stop).await?;
                // Half of the time is left to others.
                let rest = tokio::time::sleep(begun.elapsed());
                if stop.run_until_cancelled(rest).await.is_none() {
                    return Ok(());
                }
                self.promote(core, cache, stop).await?;
            }
            if moved == 0 {
                let pause = (after / 100).clamp(SHORTEST_SEARCH_PAUSE, LONGEST_SEARCH_PAUSE);
                self.searches.insert(storage.id, Instant::now() + pause.max(searched * SPACING));
                return Ok(());
            }
        }
    }
}

impl Worker for Tiers {
    fn name(&self) -> String {
        "tiers".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "moves NARs between fast and slow storages"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let is_active = core.caches().iter().any(|cache| cache.tiers.are_active());
        let mut pause = PAUSE;
        let now = Instant::now();
        for due in self.searches.values() {
            pause = pause.min(due.saturating_duration_since(now));
        }
        tokio::select! {
            () = core.nar_store.wait_for_moves() => {}
            () = tokio::time::sleep(if is_active { pause } else { PAUSE }) => {}
        }
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        if !core.catalog.is_writable() {
            return Ok(());
        }
        let caches = core.caches();
        let known = |id: &StorageId| caches.iter().any(|cache| cache.storages().get(*id).is_some());
        self.searches.retain(|id, _| known(id));
        self.stuck.retain(|id, _| known(id));
        for cache in caches.iter().filter(|cache| cache.tiers.are_active()) {
            self.promote(core, cache, stop).await?;
            let storages = cache.storages();
            let slowest = storages.slowest_tier();
            for storage in storages.iter() {
                let config = storage.config();
                let moves = config.tier < slowest && config.moves_files() && !config.draining;
                if !moves || storage.liveness.is_lost() || stop.is_cancelled() {
                    continue;
                }
                self.relieve(core, cache, storage, stop).await?;
                if let Some(after) = config.demote_after {
                    self.demote_unused(core, cache, (storage, after), stop).await?;
                }
            }
        }
        Ok(())
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn progress(&self) -> Option<String> {
        let moved = self.promoted + self.demoted > 0;
        let figures = || format!("{} promoted, {} demoted since the start", self.promoted, self.demoted);
        match (self.stuck.is_empty(), moved) {
            (true, false) => None,
            (true, true) => Some(figures()),
            (false, _) => {
                let names: Vec<&str> = self.stuck.values().map(|(name, _)| name.as_str()).collect();
                Some(format!("no slower storage takes the files of {}", names.join(", ")))
            }
        }
    }
}
