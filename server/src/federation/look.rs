//! Where a path is looked for: in the other caches of this daemon, at the nodes of the network, at the upstreams.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use nix_formats::StorePathHash;
use tokio::time::Instant;

use super::Federation;
use super::ask::{AskError, Candidate, Verified};
use super::find::Outcome;
use super::ticket::{Source, Ticket};
use super::trust::{may_look_into, trusted_keys, valid_signatures};
use super::upstreams::Remote;
use crate::cache::Cache;
use crate::cache::index::Presence;
use crate::cache::narinfo::narinfo;

/// How long the DHT may take to say who has a path if nobody else has it. Nodes of it that do not answer are waited for.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The longest that a source may take until the next one is asked as well, however long it usually takes.
const LONGEST_HEDGE: Duration = Duration::from_millis(500);

/// What came of asking.
enum Asked {
    /// Somebody has it.
    Found(Box<Verified>),
    /// None of them does.
    Nothing,
    /// None of them is known to have it, but one was not done with looking.
    NotYet,
}

impl Federation {
    /// Whether it is known without a question that there is no point in one.
    pub(super) fn nobody_has(&self, cache: &Cache, hash: &StorePathHash) -> bool {
        let is_here = || {
            let caches = self.public_caches.caches();
            caches
                .iter()
                .any(|other| may_look_into(cache, other) && other.index.look(hash) != Presence::Absent)
        };
        cache.config().upstreams.is_empty() && !is_here() && self.no_node_has(hash)
    }

    fn no_node_has(&self, hash: &StorePathHash) -> bool {
        self.network().is_some_and(|network| {
            let peers = network.peers();
            // Nodes that started together with this one may have been overlooked once.
            network.has_completed_discovery() && (peers.is_empty() || self.inventories.exclude(hash, &peers))
        })
    }

    /// Whether the network and the other caches of this daemon are asked for what the cache lacks.
    pub(super) fn looks_around(&self, cache: &Cache) -> bool {
        cache.is_public() && self.network().is_some()
    }

    pub(super) async fn look(&self, cache: &Arc<Cache>, hash: &StorePathHash) -> Outcome {
        let found = |verified| Outcome::Found(Arc::new(self.sign(cache, verified)));
        let mut candidates = Vec::new();
        let mut may_have_more = false;
        if self.looks_around(cache) {
            if let Some(verified) = self.look_here(cache, hash).await {
                return found(verified);
            }
            if !self.no_node_has(hash) {
                // The rest of the time is for asking them.
                let deadline = Instant::now() + self.lookup_timeout / 2;
                candidates = self.providers(cache, hash, deadline).await;
                may_have_more = candidates.is_empty() && Instant::now() >= deadline;
            }
        }
        // Nodes first, but a node that hangs does not keep us from the upstreams.
        candidates.extend(self.upstreams_of(cache));
        let asked = match self.first_of(candidates, cache, hash).await {
            Asked::Nothing if may_have_more => {
                let late = self.providers(cache, hash, Instant::now() + LAST_CALL).await;
                self.first_of(late, cache, hash).await
            }
            asked => asked,
        };
        match asked {
            Asked::Found(verified) => found(*verified),
            Asked::Nothing => Outcome::Absent,
            Asked::NotYet => Outcome::Unfinished,
        }
    }

    /// Looks for a path at the upstreams of the cache, with a signature that counts.
    pub(super) async fn find_upstream(&self, cache: &Cache, hash: &StorePathHash) -> Option<Verified> {
        match self.first_of(self.upstreams_of(cache).collect(), cache, hash).await {
            Asked::Found(verified) => Some(*verified),
            Asked::Nothing | Asked::NotYet => None,
        }
    }

    /// The upstreams of a cache in the order of their priority.
    pub(super) fn upstreams_of(&self, cache: &Cache) -> impl Iterator<Item = Candidate> + use<> {
        self.upstreams.of(cache).into_iter().map(Candidate::upstream)
    }

    /// In the other public caches of this daemon.
    async fn look_here(&self, cache: &Cache, hash: &StorePathHash) -> Option<Verified> {
        for other in self.public_caches.caches().iter() {
            if let Some(verified) = self.look_into(other, cache, hash).await {
                return Some(verified);
            }
        }
        None
    }

    /// In `other`, if `cache` may look there. Counts only with a signature of a key that `cache` trusts: `other` has its
    /// own writers.
    pub(super) async fn look_into(
        &self,
        other: &Cache,
        cache: &Cache,
        hash: &StorePathHash,
    ) -> Option<Verified> {
        if !may_look_into(cache, other) {
            return None;
        }
        let record = other.find_path(&self.catalog, hash).await.ok()??;
        if !other.gives(&self.catalog, &record.nar).await.ok()? {
            return None;
        }
        let mut narinfo = narinfo(other, &record);
        let valid = valid_signatures(&mut narinfo, &trusted_keys(cache));
        if valid.is_empty() {
            return None;
        }
        let ticket = Ticket::of(Source::Here(other.name().to_owned()), &narinfo);
        Some(Verified { narinfo, valid, ticket })
    }

    /// The caches of other nodes that say they have the path, the fastest first, as far as that is known at the deadline.
    pub(super) async fn providers(
        &self,
        cache: &Cache,
        hash: &StorePathHash,
        deadline: Instant,
    ) -> Vec<Candidate> {
        let Some(network) = self.network() else { return Vec::new() };
        let mut providers = network.find_providers(hash, deadline).await;
        // Ourselves under another name: a node that had our URL before, or shares it with us.
        providers.retain(|provider| provider.peer.description.url != *self.public_caches.url());
        let caches = self.public_caches.caches();
        let mut candidates: Vec<Candidate> =
            providers.iter().filter_map(|provider| Candidate::peer(provider, cache, &caches)).collect();
        candidates.sort_by_key(|candidate| self.health.expected_latency(&candidate.base));
        candidates
    }

    /// The first good answer. The next candidate is asked when one was of no help, or takes long.
    async fn first_of(&self, candidates: Vec<Candidate>, cache: &Cache, hash: &StorePathHash) -> Asked {
        let mut candidates = candidates.iter().filter(|candidate| {
            self.health.gives(&candidate.base, hash) && self.health.admits(&candidate.base)
        });
        let mut asked = FuturesUnordered::new();
        let (mut are_left, mut is_busy, mut hedge) = (true, false, Duration::ZERO);
        let (mut last, mut is_slow) = (None::<&Arc<Remote>>, false);
        loop {
            match candidates.next() {
                Some(candidate) => {
                    if let Some(slow) = last.filter(|_| is_slow) {
                        slow.record.hedged.increment();
                    }
                    (last, is_slow) = (candidate.remote.as_ref(), false);
                    hedge = self.hedge_after(candidate);
                    asked.push(self.ask(candidate, cache, hash));
                }
                None => are_left = false,
            }
            let answer = async {
                while let Some(answer) = asked.next().await {
                    is_busy |= matches!(answer, Err(AskError::NotYet));
                    if answer.is_ok() || are_left {
                        return answer.ok();
                    }
                }
                None
            };
            let answer = if are_left {
                let answered = tokio::time::timeout(hedge, answer).await;
                is_slow = answered.is_err();
                answered.ok().flatten()
            } else {
                answer.await
            };
            match answer {
                Some(verified) => return Asked::Found(Box::new(verified)),
                None if are_left => {}
                None if is_busy => return Asked::NotYet,
                None => return Asked::Nothing,
            }
        }
    }

    /// How long the candidate may take until the next one is asked as well: half again as long as it usually takes.
    fn hedge_after(&self, candidate: &Candidate) -> Duration {
        let usual = self.health.latency(&candidate.base).unwrap_or_default();
        (usual * 3 / 2).clamp(self.lookup_timeout / 6, (self.lookup_timeout / 2).max(LONGEST_HEDGE))
    }
}
