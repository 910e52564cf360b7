//! Looking for a path that a cache lacks, once for all who ask at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog::CacheId;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::HeaderValue;
use nix_formats::{NarFileName, NarInfo, StorePathHash, nix32};
use sha2::{Digest, Sha256};

use super::Federation;
use super::ask::{Candidate, Verified};
use super::ticket::{Source, Ticket};
use crate::cache::Cache;
use crate::cache::keys::{AgentNames, Offered};
use crate::cache::publish::{nar_file_name, narinfo};

/// How long it is remembered that nobody has a path. Short: who has just been told to push it reads it a moment later.
const ABSENT: Duration = Duration::from_secs(3);
/// How long it is remembered who has a path.
const PRESENT: Duration = Duration::from_secs(60);
/// Bytes of memory for what is remembered.
const MEMORY: u64 = 16 << 20;
/// Bytes that an answer takes beyond its text.
const OVERHEAD: u64 = 256;
/// Lookups at a time. Beyond that readers are told that the path is not here.
const MOST_LOOKUPS: usize = 10_000;
/// How long a lookup goes on after its readers gave up, for those who ask again.
const PATIENCE: Duration = Duration::from_secs(6);

/// A narinfo of a path that another cache has, signed by ours.
pub struct Found {
    /// The text.
    pub body: Bytes,
    /// Strong entity tag, quoted.
    pub etag: HeaderValue,
    /// The same as it was read.
    pub narinfo: NarInfo,
    /// The file that it promises.
    pub file: NarFileName,
}

type Key = (CacheId, StorePathHash);
type Lookup = Shared<BoxFuture<'static, Option<Arc<Found>>>>;

/// What came of a lookup.
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
    running: Mutex<HashMap<Key, Lookup>>,
    answers: quick_cache::sync::Cache<Key, Answer, Weight>,
}

impl Default for Lookups {
    fn default() -> Self {
        let answers = quick_cache::sync::Cache::with_weighter(16_384, MEMORY, Weight);
        Self { running: Mutex::default(), answers }
    }
}

impl Lookups {
    fn running(&self) -> MutexGuard<'_, HashMap<Key, Lookup>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Federation {
    /// A path that `cache` lacks, if somebody else has it and that is known in time.
    pub async fn find(self: &Arc<Self>, cache: &Arc<Cache>, hash: &StorePathHash) -> Option<Arc<Found>> {
        if !self.asks_for(cache) {
            return None;
        }
        let key = (cache.id, *hash);
        if let Some(answer) = self.lookups.answers.get(&key)
            && answer.good_until > Instant::now()
        {
            return answer.found;
        }
        if self.nobody_has(cache, hash) {
            return None;
        }
        let lookup = self.join_lookup(key, cache)?;
        tokio::time::timeout(self.lookup_timeout, lookup).await.ok().flatten()
    }

    /// Whether it is known without a question that there is no point in one.
    fn nobody_has(&self, cache: &Cache, hash: &StorePathHash) -> bool {
        let is_here =
            || self.shelf.caches().iter().any(|other| other.is_public() && other.index.contains(hash));
        cache.config().upstreams.is_empty() && !is_here() && self.no_node_has(hash)
    }

    fn no_node_has(&self, hash: &StorePathHash) -> bool {
        self.network().is_some_and(|network| self.digests.exclude(hash, &network.peers()))
    }

    /// Somebody has got these paths: that nobody had them is forgotten.
    pub(super) fn now_present(&self, paths: &[StorePathHash]) {
        let caches = self.shelf.caches();
        for key in paths.iter().flat_map(|path| caches.iter().map(|cache| (cache.id, *path))) {
            if self.lookups.answers.peek(&key).is_some_and(|answer| answer.found.is_none()) {
                self.lookups.answers.remove(&key);
            }
        }
    }

    /// Nobody has what was found, after all. Whoever asks again in a moment makes us look again.
    pub(super) fn now_absent(&self, cache: &Cache, path: &StorePathHash) {
        let answer = Answer { found: None, good_until: Instant::now() + ABSENT };
        self.lookups.answers.insert((cache.id, *path), answer);
    }

    /// The lookup for this path: the one that is under way, or a new one.
    fn join_lookup(self: &Arc<Self>, key: Key, cache: &Arc<Cache>) -> Option<Lookup> {
        let mut running = self.lookups.running();
        if let Some(lookup) = running.get(&key) {
            return Some(lookup.clone());
        }
        if running.len() >= MOST_LOOKUPS {
            return None;
        }
        let (federation, cache) = (self.clone(), cache.clone());
        let task = tokio::spawn(async move {
            let looked = tokio::time::timeout(PATIENCE, federation.look(&cache, &key.1)).await;
            let found = looked.ok().flatten().map(Arc::new);
            let good_for = if found.is_some() { PRESENT } else { ABSENT };
            let answer = Answer { found: found.clone(), good_until: Instant::now() + good_for };
            federation.lookups.answers.insert(key, answer);
            federation.lookups.running().remove(&key);
            found
        });
        let lookup = task.map(|ended| ended.ok().flatten()).boxed().shared();
        running.insert(key, lookup.clone());
        Some(lookup)
    }

    async fn look(&self, cache: &Arc<Cache>, hash: &StorePathHash) -> Option<Found> {
        if cache.is_public() && self.network().is_some() {
            if let Some(verified) = self.look_here(cache, hash).await {
                return Some(self.sign(cache, verified));
            }
            let providers = if self.no_node_has(hash) { Vec::new() } else { self.providers(hash).await };
            if let Some(verified) = self.first_of(providers, cache, hash).await {
                return Some(self.sign(cache, verified));
            }
        }
        let upstreams = cache.config().upstreams.iter().map(Candidate::upstream).collect();
        Some(self.sign(cache, self.first_of(upstreams, cache, hash).await?))
    }

    /// In the other public caches of this daemon.
    async fn look_here(&self, cache: &Arc<Cache>, hash: &StorePathHash) -> Option<Verified> {
        for other in self.shelf.caches().iter().filter(|other| other.id != cache.id && other.is_public()) {
            let Ok(Some(record)) = other.find_path(&self.catalog, hash).await else { continue };
            if !other.gives_from(record.nar.storage) {
                continue;
            }
            let narinfo = narinfo(other, &record);
            let ticket = Ticket {
                source: Source::Here(other.name().to_owned()),
                url: narinfo.url.clone(),
                path: *hash,
                file: nar_file_name(&record),
                file_size: record.nar.file_size,
                nar_hash: record.nar.nar_hash,
                nar_size: record.nar.nar_size,
            };
            return Some(Verified { narinfo, ticket });
        }
        None
    }

    /// The caches of other nodes that say they have the path, the fastest first.
    pub(super) async fn providers(&self, hash: &StorePathHash) -> Vec<Candidate> {
        let Some(network) = self.network() else { return Vec::new() };
        // The rest of the time is for asking them.
        let deadline = tokio::time::Instant::now() + self.lookup_timeout / 2;
        let providers = network.find_providers(hash, deadline).await;
        let mut candidates: Vec<Candidate> = providers.iter().filter_map(Candidate::peer).collect();
        candidates.sort_by_key(|candidate| self.health.expected_latency(&candidate.base));
        candidates
    }

    /// The first good answer. The next candidate is asked when one was of no help, or takes long.
    pub(super) async fn first_of(
        &self,
        candidates: Vec<Candidate>,
        cache: &Cache,
        hash: &StorePathHash,
    ) -> Option<Verified> {
        let hedge = self.lookup_timeout / 6;
        let mut candidates = candidates.iter().filter(|candidate| self.health.admits(&candidate.base));
        let mut asked = FuturesUnordered::new();
        let mut left = true;
        loop {
            match candidates.next() {
                Some(candidate) => asked.push(self.ask(candidate, cache, hash)),
                None => left = false,
            }
            let answer = async {
                while let Some(answer) = asked.next().await {
                    if answer.is_ok() || left {
                        return answer.ok();
                    }
                }
                None
            };
            let answer =
                if left { tokio::time::timeout(hedge, answer).await.ok().flatten() } else { answer.await };
            if answer.is_some() || !left {
                return answer;
            }
        }
    }

    /// The narinfo as our readers get it: signed by us, with a URL that leads to us.
    fn sign(&self, cache: &Cache, verified: Verified) -> Found {
        let Verified { mut narinfo, ticket } = verified;
        let offered = Offered::Named(std::mem::take(&mut narinfo.signatures));
        match cache.keys().sign(&narinfo.fingerprint(), &offered) {
            Ok(signatures) => narinfo.signatures = signatures,
            // A cache whose clients sign has no key here. Its readers may trust who signed it elsewhere.
            Err(_) => {
                if let Offered::Named(signatures) = offered {
                    narinfo.signatures = signatures;
                }
            }
        }
        cache.keys().sign_for_agents(&mut narinfo, AgentNames::All);
        narinfo.url = self.tickets.load().url(&ticket, cache.name());
        narinfo.file_hash = Some(ticket.file.file_hash);
        narinfo.file_size = Some(ticket.file_size);
        render(narinfo, ticket.file)
    }
}

fn render(narinfo: NarInfo, file: NarFileName) -> Found {
    let body = Bytes::from(narinfo.to_string());
    let digest = Sha256::digest(&body);
    let etag = format!("\"{}\"", nix32::encode(&digest[..20]));
    Found { body, etag: HeaderValue::try_from(etag).expect("nix32 is visible ASCII"), narinfo, file }
}
