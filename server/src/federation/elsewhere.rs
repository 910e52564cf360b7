//! Paths that a cache does not hold and relies on all the same, because an upstream or another cache of this daemon has them: clients that
//! push may leave them out, and closures that need them count as complete (`catalog`, `elsewhere.rs`).
//!
//! A worker tends them: it looks for what closures lack, looks now and then whether everything is still there, fetches what is to be kept
//! here too, and forgets what nobody needs any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{CacheId, CatalogError, PathElsewhere, Seen, UnixTime};
use futures_util::stream::{self, StreamExt};
use nix_formats::{StorePath, StorePathHash};
use parking_lot::Mutex;

use super::Federation;
use super::ask::AskError;
use super::ticket::Source;
use super::trust::may_look_into;
use crate::cache::Cache;

/// Paths that are asked for at once.
const AT_ONCE: usize = 16;
/// NARs that are fetched at once to be kept.
const FETCHED_AT_ONCE: usize = 2;
/// Paths that are read from the catalog at once.
const PAGE: u64 = 500;
/// A use that was noted is not noted again for this long.
const NOTED_FOR: Duration = Duration::from_secs(3600);
/// Uses that are remembered so. Each takes some 60 bytes.
const MOST_NOTED: usize = 65_536;
/// Pause after a path was looked for, or fetched, in vain: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// Paths whose pauses are remembered.
const MOST_PAUSES: usize = 100_000;
/// Paths that are gone are named in the log, as many of one round.
const MOST_NAMED: usize = 10;
/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

type Key = (CacheId, StorePathHash);

/// What was noted, and looked for, lately.
pub struct Reliance {
    noted: quick_cache::sync::Cache<Key, Instant>,
    /// Paths that were looked for in vain: when they are looked for again, and the pause until then.
    pauses: Mutex<HashMap<Key, (Instant, Duration)>>,
    /// Told when there is something to tend.
    due: tokio::sync::Notify,
}

impl Default for Reliance {
    fn default() -> Self {
        let noted = quick_cache::sync::Cache::new(MOST_NOTED);
        Self { noted, pauses: Mutex::default(), due: tokio::sync::Notify::new() }
    }
}

impl Reliance {
    /// The caches have changed, or what they trust: everything is looked for anew.
    pub fn begin_generation(&self) {
        self.noted.clear();
        self.pauses.lock().clear();
        self.due.notify_one();
    }

    fn forget(&self, key: &Key) {
        self.noted.remove(key);
    }

    fn is_due(&self, key: &Key) -> bool {
        self.pauses.lock().get(key).is_none_or(|(until, _)| *until <= Instant::now())
    }

    fn put_off(&self, key: Key) {
        let mut pauses = self.pauses.lock();
        if pauses.len() >= MOST_PAUSES {
            pauses.clear();
        }
        let pause = pauses.get(&key).map_or(PAUSE.0, |(_, pause)| (*pause * 2).min(PAUSE.1));
        pauses.insert(key, (Instant::now() + pause, pause));
    }
}

/// What came of looking for a path.
pub enum Look {
    /// It is there.
    Seen(Seen),
    /// Everybody was asked, and nobody has it.
    Gone,
    /// Not everybody answered.
    Unknown,
}

/// Describes a path that a source has.
pub(super) fn seen(source: &Source, path: &StorePath, sister: Option<CacheId>) -> Seen {
    let source = match source {
        Source::Here(name) => name.clone(),
        Source::Peer(url) | Source::Upstream(url) => url.to_string(),
    };
    Seen { path: path.clone(), source, sister }
}

impl Federation {
    /// Waits until a worker should tend what the caches rely on.
    pub async fn reliance_due(&self) {
        self.reliance.due.notified().await;
    }

    /// Notes durably that the cache relies on these paths to be where they were seen.
    pub(super) async fn rely_on(&self, cache: &Cache, mut seen: Vec<Seen>) -> Result<(), CatalogError> {
        let now = Instant::now();
        let noted = &self.reliance.noted;
        seen.retain(|seen| {
            let known = noted.get(&(cache.id, *seen.path.hash()));
            known.is_none_or(|at| now.duration_since(at) > NOTED_FOR)
        });
        if seen.is_empty() {
            return Ok(());
        }
        let hashes: Vec<StorePathHash> = seen.iter().map(|seen| *seen.path.hash()).collect();
        self.catalog.note_elsewhere(cache.id, seen, UnixTime::now(), true).await?;
        hashes.into_iter().for_each(|hash| noted.insert((cache.id, hash), now));
        if cache.config().pin_upstream {
            self.reliance.due.notify_one();
        }
        Ok(())
    }

    /// The other caches of this daemon that readers of `cache` have the paths of.
    fn sisters(&self, cache: &Cache) -> Vec<Arc<Cache>> {
        let caches = self.public_caches.caches();
        let may = |other: &&Arc<Cache>| self.looks_around(cache) && may_look_into(cache, other);
        caches.iter().filter(may).cloned().collect()
    }

    /// Looks for a path in the other caches of this daemon and at the upstreams, as far as the cache trusts them.
    pub(super) async fn look_elsewhere(&self, cache: &Cache, hash: &StorePathHash) -> Look {
        for other in self.sisters(cache) {
            if let Some(verified) = self.look_into(&other, cache, hash).await {
                return Look::Seen(seen(
                    &verified.ticket.source,
                    &verified.narinfo.store_path,
                    Some(other.id),
                ));
            }
        }
        let mut is_sure = true;
        for candidate in self.upstreams_of(cache) {
            if !self.health.gives(&candidate.base, hash) || !self.health.admits(&candidate.base) {
                is_sure = false;
                continue;
            }
            match self.ask(&candidate, cache, hash).await {
                Ok(verified) => {
                    return Look::Seen(seen(&candidate.source, &verified.narinfo.store_path, None));
                }
                Err(AskError::Absent | AskError::Untrusted | AskError::Unusable(_)) => {}
                // Some servers say so of everything that is not there.
                Err(AskError::Forbidden) => {
                    is_sure &= candidate.remote.as_ref().is_some_and(|remote| remote.record.found.get() > 0);
                }
                Err(_) => is_sure = false,
            }
        }
        if is_sure { Look::Gone } else { Look::Unknown }
    }

    /// Tends what a cache relies on. `watch` is how often each path is looked for.
    pub async fn tend_reliance(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        watch: Duration,
    ) -> Result<(), CatalogError> {
        self.forget_former_sources(cache).await?;
        if !self.sisters(cache).is_empty() || !cache.config().upstreams.is_empty() {
            self.find_references(cache).await?;
            self.look_again(cache, watch).await?;
        }
        if cache.config().pin_upstream {
            self.pin_upstream(cache).await?;
        }
        self.forget_needless(cache).await
    }

    /// Forgets what was seen where the cache looks no longer.
    async fn forget_former_sources(&self, cache: &Cache) -> Result<(), CatalogError> {
        let upstreams = cache.config().upstreams.clone();
        let sisters = self.sisters(cache);
        let is_known = |source: &str| {
            upstreams.iter().any(|upstream| upstream.url.as_str() == source)
                || sisters.iter().any(|other| other.name() == source)
        };
        for source in self.catalog.elsewhere_sources(cache.id).await? {
            if is_known(&source) {
                continue;
            }
            loop {
                let hashes = self.catalog.elsewhere_from(cache.id, &source, PAGE).await?;
                if hashes.is_empty() {
                    break;
                }
                self.catalog.forget_elsewhere(cache.id, hashes).await?;
                cache.forget_incomplete();
            }
        }
        Ok(())
    }

    /// Looks for what closures lack.
    async fn find_references(&self, cache: &Arc<Cache>) -> Result<(), CatalogError> {
        let mut after = None;
        while !self.stop.is_cancelled() {
            let page = self.catalog.wanted_references(cache.id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            let due = page.into_iter().filter(|hash| self.reliance.is_due(&(cache.id, *hash)));
            let mut found = Vec::new();
            for (hash, look) in self.look_for_all(cache, due.collect()).await {
                match look {
                    Look::Seen(seen) => found.push(seen),
                    Look::Gone | Look::Unknown => self.reliance.put_off((cache.id, hash)),
                }
            }
            self.rely_on(cache, found).await?;
        }
        Ok(())
    }

    async fn look_for_all(
        &self,
        cache: &Arc<Cache>,
        hashes: Vec<StorePathHash>,
    ) -> Vec<(StorePathHash, Look)> {
        let looking = stream::iter(hashes)
            .map(|hash| async move { (hash, self.look_elsewhere(cache, &hash).await) })
            .buffer_unordered(AT_ONCE);
        looking.take_until(self.stop.cancelled()).collect().await
    }

    /// Looks whether everything is still there.
    async fn look_again(&self, cache: &Arc<Cache>, watch: Duration) -> Result<(), CatalogError> {
        let seconds = i64::try_from(watch.as_secs()).unwrap_or(i64::MAX).max(1);
        let now = UnixTime::now();
        while !self.stop.is_cancelled() {
            let before = UnixTime(now.0.saturating_sub(seconds));
            let page = self.catalog.not_looked_since(cache.id, before, PAGE).await?;
            if page.is_empty() {
                break;
            }
            let paths: HashMap<StorePathHash, PathElsewhere> =
                page.into_iter().map(|path| (*path.path.hash(), path)).collect();
            let (mut there, mut gone, mut open) = (Vec::new(), Vec::new(), Vec::new());
            for (hash, look) in self.look_for_all(cache, paths.keys().copied().collect()).await {
                match look {
                    Look::Seen(seen) => there.push(seen),
                    Look::Gone => {
                        open.push(hash);
                        gone.push(hash);
                    }
                    Look::Unknown => open.push(hash),
                }
            }
            self.catalog.note_elsewhere(cache.id, there, now, false).await?;
            self.tell_gone(cache, gone.iter().filter_map(|hash| paths.get(hash)));
            if !gone.is_empty() {
                gone.iter().for_each(|hash| self.reliance.forget(&(cache.id, *hash)));
                self.catalog.lost_elsewhere(cache.id, gone, now).await?;
                cache.forget_incomplete();
            }
            // These are looked for again sooner.
            let at = UnixTime(before.0.saturating_add((seconds / 8).max(1)));
            self.catalog.looked_elsewhere(cache.id, open, at).await?;
        }
        Ok(())
    }

    fn tell_gone<'p>(&self, cache: &Cache, gone: impl Iterator<Item = &'p PathElsewhere>) {
        for path in gone.filter(|path| path.missing_since.is_none()).take(MOST_NAMED) {
            tracing::warn!(
                cache = cache.name(),
                path = path.path.base_name(),
                source = path.source,
                "a path that pushes left out is gone from where it was"
            );
        }
    }

    /// Fetches what upstreams have and the cache relies on, so that it stays when they forget it.
    async fn pin_upstream(self: &Arc<Self>, cache: &Arc<Cache>) -> Result<(), CatalogError> {
        let mut after = None;
        loop {
            let page = self.catalog.only_elsewhere(cache.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last.path.hash());
            let mut due: Vec<StorePathHash> = page.iter().map(|path| *path.path.hash()).collect();
            due.retain(|hash| self.reliance.is_due(&(cache.id, *hash)));
            let fetching = stream::iter(due).map(|hash| async move {
                if !self.keep_path(cache, &hash).await {
                    self.reliance.put_off((cache.id, hash));
                }
            });
            fetching
                .buffer_unordered(FETCHED_AT_ONCE)
                .take_until(self.stop.cancelled())
                .collect::<()>()
                .await;
            if self.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn forget_needless(&self, cache: &Cache) -> Result<(), CatalogError> {
        let kept = i64::from(cache.config().retention).max(1).saturating_mul(DAY);
        let before = UnixTime(UnixTime::now().0.saturating_sub(kept));
        loop {
            let needless = self.catalog.needless_elsewhere(cache.id, before, PAGE).await?;
            if needless.is_empty() {
                return Ok(());
            }
            needless.iter().for_each(|hash| self.reliance.forget(&(cache.id, *hash)));
            self.catalog.forget_elsewhere(cache.id, needless).await?;
        }
    }
}
