//! Announces the store paths of this node: new ones at once, and all of them again before the records expire.

mod queue;
mod sample;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix_formats::StorePathHash;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::queue::{Job, Queue};
use self::sample::{Sample, is_loss};
use crate::dht::{Dht, DhtError, with_causes};
use crate::record::{Holder, Name, NodeDescription, Providers};
use crate::{NodeId, Stamp, Timing};

/// The most records written at once. The DHT has one thread, and lookups wait in the same queue.
const IN_FLIGHT: usize = 8;
/// The pause after no other node was known.
const ALONE_PAUSE: Duration = Duration::from_secs(1);
/// The interval between two checks of the records soon after the start.
const EARLY_VERIFY: Duration = Duration::from_secs(5);

/// A store path in a public cache of this daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HeldPath {
    /// The number of the cache.
    pub cache: u32,
    /// The path.
    pub hash: StorePathHash,
}

/// The public caches of this node and their paths. Everything in it is announced.
pub trait LocalInventory: Send + Sync + 'static {
    /// Returns the description of the node and its public caches. The caller sets the time and the number of the run.
    fn describe(&self) -> NodeDescription;

    /// Returns all paths of the public caches in any order.
    fn paths(&self) -> Vec<HeldPath>;

    /// Returns whether the path is still in that cache and the cache is still public.
    fn holds(&self, path: &HeldPath) -> bool;
}

/// The progress of announcing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AnnounceStatus {
    /// Paths that wait, including those of the current round over all paths.
    pub waiting: u64,
    /// The number of paths at the start of the current round.
    pub round: u64,
    /// Records written since the start.
    pub written: u64,
    /// Records that could not be written; the next round retries them.
    pub failed: u64,
}

/// Announces paths in the background.
pub struct Announcer {
    dht: Arc<Dht>,
    node: NodeId,
    timing: Timing,
    inventory: Arc<dyn LocalInventory>,
    queue: Queue,
    sample: Sample,
    written: AtomicU64,
    failed: AtomicU64,
}

impl Announcer {
    pub fn new(dht: Arc<Dht>, node: NodeId, timing: Timing, inventory: Arc<dyn LocalInventory>) -> Self {
        let (written, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            dht,
            node,
            timing,
            inventory,
            queue: Queue::default(),
            sample: Sample::default(),
            written,
            failed,
        }
    }

    /// Announces soon whether this node has the path.
    pub fn announce(&self, path: HeldPath) {
        self.queue.push(path);
    }

    /// Announces all paths again.
    pub fn announce_all_paths(&self) {
        self.queue.begin_round(self.inventory.paths());
    }

    pub fn status(&self) -> AnnounceStatus {
        let (waiting, round) = self.queue.lengths();
        AnnounceStatus {
            waiting,
            round,
            written: self.written.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Runs until `stop` is cancelled. Announcements in flight are abandoned; the next start announces everything again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut next_round = Instant::now();
        let mut not_before = Instant::now();
        let mut running = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            if now >= next_round {
                self.queue.begin_round(self.inventory.paths());
                next_round = now + self.timing.reannounce;
            }
            while running.len() < IN_FLIGHT && not_before <= Instant::now() {
                let Some(job) = self.queue.pop() else { break };
                if job.is_routine() {
                    // A round over all paths is slow, so that lookups and new paths find the DHT free.
                    not_before = Instant::now() + self.timing.pace;
                }
                running.push(self.write(job));
            }
            let paused = not_before > Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                Some((job, result)) = running.next() => {
                    if self.note(job, result) {
                        not_before = Instant::now() + ALONE_PAUSE;
                    }
                }
                () = self.queue.wait(), if running.len() < IN_FLIGHT && !paused => {}
                () = tokio::time::sleep_until(not_before), if paused => {}
                () = tokio::time::sleep_until(next_round) => {}
            }
        }
    }

    /// Announces everything again when the network has lost records of this node. Runs until `stop` is cancelled.
    pub async fn watch_records(self: Arc<Self>, stop: CancellationToken) {
        let started = Instant::now();
        let verify = || self.timing.early(started, self.timing.verify, EARLY_VERIFY);
        let mut pause = verify();
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            // A round that is under way writes them anyway.
            if self.status().waiting > 0 {
                continue;
            }
            let Some((missing, sample)) = self.missing_records().await else { continue };
            if is_loss(missing, sample) {
                tracing::warn!(
                    missing,
                    sample,
                    "the network has lost records of this node; announcing everything again. If this repeats, raise \
                     `server.dht-max-records` on its nodes"
                );
                self.announce_all_paths();
                pause = (pause * 2).min(self.timing.reannounce);
            } else {
                pause = verify();
            }
        }
    }

    /// Returns how many records of the sample are missing, and how many there are. `None` if no other node is known.
    async fn missing_records(&self) -> Option<(usize, usize)> {
        let sample = self.sample.retain(|path| self.inventory.holds(path));
        if sample.is_empty() || self.dht.is_alone().await {
            return None;
        }
        let mut missing = 0;
        for path in &sample {
            let holder = Holder { node: self.node, cache: path.cache };
            let records = self.dht.read::<Providers>(&Name::Providers(path.hash), &self.timing).await;
            // A record of a path that very many nodes have names only the latest of them.
            let is_there = |providers: &Providers| {
                providers.find(&holder).is_some() || providers.iter().count() >= Providers::MOST
            };
            missing += usize::from(!records.iter().any(is_there));
        }
        Some((missing, sample.len()))
    }

    async fn write(&self, job: Job) -> (Job, Result<(), DhtError>) {
        let path = job.path;
        let holder = Holder { node: self.node, cache: path.cache };
        // Checked now, not when it was queued: the current state counts.
        let here = self.inventory.holds(&path);
        let now = Stamp::now();
        let still_good = self.timing.reannounce / 2;
        let change = |providers: &mut Providers| match providers.find(&holder) {
            _ if !here => providers.remove(&holder),
            Some(said) if said.is_fresh(now, still_good) => {}
            _ => providers.set(holder, now),
        };
        (job, self.dht.update(&Name::Providers(path.hash), &self.timing, change).await)
    }

    /// Records the result. Returns whether no other node is known.
    fn note(&self, job: Job, result: Result<(), DhtError>) -> bool {
        match result {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
                self.sample.offer(job.path);
                false
            }
            Err(DhtError::Alone) => {
                self.queue.push_again(job);
                true
            }
            Err(error) => {
                tracing::debug!(hash = %job.path.hash, error = with_causes(&error), "cannot announce a path");
                if !self.queue.retry(job) {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                }
                false
            }
        }
    }
}
