//! Looking for a path that a cache lacks, once for all who ask at a time. Where it is looked for is in `look.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog::CacheId;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use http::HeaderValue;
use nix_formats::{NarFileName, NarInfo, Signature, StorePathHash};
use parking_lot::{Mutex, MutexGuard};

use super::Federation;
use super::ticket::Ticket;
use crate::cache::Cache;
use crate::counters::LIMIT_HITS;
use crate::counters::labels::LimitHit;

/// How long it is remembered that nobody has a path. Short: who has just been told to push it reads it a moment later.
const ABSENT: Duration = Duration::from_secs(3);
/// The same where finding out took longer than a reader waits: longer than the pauses between the attempts of Nix, so that
/// its next attempt gets the answer and does not begin another lookup.
const ABSENT_AFTER_LONG: Duration = Duration::from_secs(10);
/// How long it is remembered who has a path.
const PRESENT: Duration = Duration::from_secs(60);
/// Bytes of memory for what is remembered.
const MEMORY: u64 = 16 << 20;
/// Bytes that an answer takes beyond its text.
const OVERHEAD: u64 = 256;
/// Lookups at a time. Beyond that readers are told to come back.
const MOST_LOOKUPS: usize = 10_000;
/// How long a lookup goes on after its readers were told to come back. Nix tries five times, and its last attempt begins no
/// earlier than 5.3 seconds after the first one: by then there has to be an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much longer a lookup may take than the slowest of the upstreams.
const MARGIN: Duration = Duration::from_secs(1);

/// A narinfo of a path that another cache has, signed by ours.
pub struct Found {
    /// The text.
    pub body: Bytes,
    /// Strong entity tag, quoted.
    pub etag: HeaderValue,
    /// The same as it was read.
    pub narinfo: NarInfo,
    /// The signatures that it was taken for.
    pub valid: Vec<Signature>,
    /// The name of the file that it promises.
    pub file: NarFileName,
    /// Where that is had.
    pub ticket: Ticket,
    /// Whether an upstream has it, and not another cache of ours or of the network.
    pub is_upstream: bool,
}

/// What is known of a path that a cache lacks.
#[derive(Clone)]
pub enum Outcome {
    /// Somebody else has it.
    Found(Arc<Found>),
    /// Everybody was asked, or does not answer at all: it is not to be had.
    Absent,
    /// It is not known yet.
    Unfinished,
}

type Key = (Generation, CacheId, StorePathHash);
type Lookup = Shared<BoxFuture<'static, Outcome>>;
/// Counts the changes of the configuration. What was found under one of them says nothing about the next: other keys may
/// be trusted, and other caches be public.
type Generation = u64;

/// What came of a lookup; `None` if nobody has the path.
#[derive(Clone)]
struct Answer {
    found: Option<Arc<Found>>,
    good_until: Instant,
}

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<Key, Answer> for Weight {
    fn weight(&self, _: &Key, answer: &Answer) -> u64 {
        // The text, and what was read from it.
        answer.found.as_ref().map_or(0, |found| 3 * found.body.len() as u64) + OVERHEAD
    }
}

/// Lookups that are under way, and what came of the last ones.
pub struct Lookups {
    generation: AtomicU64,
    running: Mutex<HashMap<Key, Lookup>>,
    answers: quick_cache::sync::Cache<Key, Answer, Weight>,
}

impl Default for Lookups {
    fn default() -> Self {
        let answers = quick_cache::sync::Cache::with_weighter(16_384, MEMORY, Weight);
        Self { generation: AtomicU64::default(), running: Mutex::default(), answers }
    }
}

impl Lookups {
    fn running(&self) -> MutexGuard<'_, HashMap<Key, Lookup>> {
        self.running.lock()
    }

    fn key(&self, cache: CacheId, path: StorePathHash) -> Key {
        (self.generation.load(Ordering::Acquire), cache, path)
    }

    /// Forgets everything: the caches or what they trust have changed.
    pub fn begin_generation(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.answers.clear();
    }

    fn remember(&self, key: Key, found: Option<Arc<Found>>, good_for: Duration) {
        self.answers.insert(key, Answer { found, good_until: Instant::now() + good_for });
    }
}

impl From<Option<Arc<Found>>> for Outcome {
    fn from(found: Option<Arc<Found>>) -> Self {
        found.map_or(Self::Absent, Self::Found)
    }
}

impl Outcome {
    /// What was found, if something was.
    pub fn found(self) -> Option<Arc<Found>> {
        match self {
            Self::Found(found) => Some(found),
            Self::Absent | Self::Unfinished => None,
        }
    }
}

impl Federation {
    /// A path that `cache` lacks, as far as that is known in the time that a reader waits.
    pub async fn find(self: &Arc<Self>, cache: &Arc<Cache>, hash: &StorePathHash) -> Outcome {
        match self.begin_to_find(cache, hash) {
            Ok(lookup) => {
                let looked = tokio::time::timeout(self.lookup_timeout, lookup).await;
                looked.unwrap_or(Outcome::Unfinished)
            }
            Err(known) => known,
        }
    }

    /// The same for those who can wait until it is known for sure.
    pub async fn find_patiently(self: &Arc<Self>, cache: &Arc<Cache>, hash: &StorePathHash) -> Outcome {
        match self.begin_to_find(cache, hash) {
            Ok(lookup) => lookup.await,
            Err(known) => known,
        }
    }

    /// Whether it is known without a lookup that the path is not to be had.
    pub fn is_known_absent(&self, cache: &Cache, hash: &StorePathHash) -> bool {
        if !self.asks_for(cache) {
            return true;
        }
        let answer = self.lookups.answers.get(&self.lookups.key(cache.id, *hash));
        match answer.filter(|answer| answer.good_until > Instant::now()) {
            Some(answer) => answer.found.is_none(),
            None => self.nobody_has(cache, hash),
        }
    }

    /// The lookup that will tell, or what is known without one.
    fn begin_to_find(self: &Arc<Self>, cache: &Arc<Cache>, hash: &StorePathHash) -> Result<Lookup, Outcome> {
        if !self.asks_for(cache) {
            return Err(Outcome::Absent);
        }
        let key = self.lookups.key(cache.id, *hash);
        if let Some(answer) = self.lookups.answers.get(&key)
            && answer.good_until > Instant::now()
        {
            return Err(answer.found.into());
        }
        if self.nobody_has(cache, hash) {
            return Err(Outcome::Absent);
        }
        self.join_lookup(key, cache).ok_or(Outcome::Unfinished)
    }

    /// Somebody has got these paths: that nobody had them is forgotten.
    pub(super) fn now_present(&self, paths: &[StorePathHash]) {
        let caches = self.public_caches.caches();
        for (path, cache) in paths.iter().flat_map(|path| caches.iter().map(move |cache| (path, cache))) {
            let key = self.lookups.key(cache.id, *path);
            if self.lookups.answers.peek(&key).is_some_and(|answer| answer.found.is_none()) {
                self.lookups.answers.remove(&key);
            }
        }
    }

    /// Nobody has what was found, after all. Whoever asks again in a moment makes us look again.
    pub(super) fn now_absent(&self, cache: &Cache, path: &StorePathHash) {
        self.lookups.remember(self.lookups.key(cache.id, *path), None, ABSENT);
    }

    /// How long a lookup may take as a whole.
    fn patience_for(&self, cache: &Cache) -> Duration {
        let longest = cache.config().upstreams.iter().map(|upstream| upstream.lookup_timeout).max();
        PATIENCE.max(self.lookup_timeout).max(longest.unwrap_or_default() + MARGIN)
    }

    /// The lookup for this path: the one that is under way, or a new one. `None` if there are too many.
    fn join_lookup(self: &Arc<Self>, key: Key, cache: &Arc<Cache>) -> Option<Lookup> {
        let mut running = self.lookups.running();
        if let Some(lookup) = running.get(&key) {
            return Some(lookup.clone());
        }
        if running.len() >= MOST_LOOKUPS {
            LIMIT_HITS.count(LimitHit::Lookups);
            return None;
        }
        let (federation, cache) = (self.clone(), cache.clone());
        let task = tokio::spawn(traces::carried(async move {
            let begun = Instant::now();
            let patience = federation.patience_for(&cache);
            let looked = tokio::time::timeout(patience, federation.look(&cache, &key.2)).await;
            // What did not answer in all that time is not there.
            let outcome = looked.unwrap_or(Outcome::Absent);
            match &outcome {
                Outcome::Found(found) => federation.lookups.remember(key, Some(found.clone()), PRESENT),
                Outcome::Absent if begun.elapsed() < federation.lookup_timeout => {
                    federation.lookups.remember(key, None, ABSENT);
                }
                Outcome::Absent => federation.lookups.remember(key, None, ABSENT_AFTER_LONG),
                Outcome::Unfinished => {}
            }
            federation.lookups.running().remove(&key);
            outcome
        }));
        let lookup = task.map(|ended| ended.unwrap_or(Outcome::Absent)).boxed().shared();
        running.insert(key, lookup.clone());
        Some(lookup)
    }
}
