//! Tells the network which store paths are here: what is new at once, everything again before it is forgotten.

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix_formats::StorePathHash;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::queue::{Job, Queue};
use crate::dht::{Dht, DhtError};
use crate::record::{Holder, Name, NodeDescription, Providers};
use crate::{NodeId, Stamp, Timing};

/// Records that are written at once. The DHT has one thread, and lookups wait in the same queue.
const IN_FLIGHT: usize = 8;
/// Pause after there was nobody to tell.
const ALONE_PAUSE: Duration = Duration::from_secs(1);

/// A store path in a public cache of this daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HeldPath {
    /// Number of the cache.
    pub cache: u32,
    /// The path.
    pub hash: StorePathHash,
}

/// What this daemon has to tell. Only what is public: whatever comes from here is announced.
pub trait Holdings: Send + Sync + 'static {
    /// The node and its public caches. The time and the number of the run are filled in by the caller.
    fn describe(&self) -> NodeDescription;

    /// All paths of the public caches, in any order.
    fn paths(&self) -> Vec<HeldPath>;

    /// Whether the path is still in that cache, and the cache still public.
    fn holds(&self, path: &HeldPath) -> bool;
}

/// How far announcing has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AnnounceStatus {
    /// Paths that wait, of the current round over all paths too.
    pub waiting: u64,
    /// Paths that the current round began with.
    pub round: u64,
    /// Records written since the start.
    pub written: u64,
    /// Records that could not be written; the next round tries again.
    pub failed: u64,
}

/// The announcer.
pub struct Announcer {
    dht: Arc<Dht>,
    node: NodeId,
    timing: Timing,
    holdings: Arc<dyn Holdings>,
    queue: Queue,
    written: AtomicU64,
    failed: AtomicU64,
}

impl Announcer {
    pub fn new(dht: Arc<Dht>, node: NodeId, timing: Timing, holdings: Arc<dyn Holdings>) -> Self {
        let (written, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { dht, node, timing, holdings, queue: Queue::default(), written, failed }
    }

    /// Tells the network soon whether the path is here.
    pub fn tell(&self, path: HeldPath) {
        self.queue.push(path);
    }

    /// Tells the network everything again.
    pub fn tell_everything(&self) {
        self.queue.begin_round(self.holdings.paths());
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

    /// Runs until `stop` is cancelled. What is in flight then is given up; the next start tells everything again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut next_round = Instant::now();
        let mut not_before = Instant::now();
        let mut running = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            if now >= next_round {
                self.queue.begin_round(self.holdings.paths());
                next_round = now + self.timing.reannounce;
            }
            while running.len() < IN_FLIGHT && not_before <= Instant::now() {
                let Some(job) = self.queue.pop() else { break };
                if job.is_routine() {
                    // A round over everything takes its time, so that lookups and news find the DHT free.
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

    async fn write(&self, job: Job) -> (Job, Result<(), DhtError>) {
        let path = job.path;
        let holder = Holder { node: self.node, cache: path.cache };
        // Asked now and not when it was queued: what counts is how it is.
        let here = self.holdings.holds(&path);
        let now = Stamp::now();
        let still_good = self.timing.reannounce / 2;
        let change = |providers: &mut Providers| match providers.find(&holder) {
            _ if !here => providers.remove(&holder),
            Some(said) if said.is_fresh(now, still_good) => {}
            _ => providers.set(holder, now),
        };
        (job, self.dht.update(&Name::Providers(path.hash), &self.timing, change).await)
    }

    /// Returns whether there is nobody to tell.
    fn note(&self, job: Job, result: Result<(), DhtError>) -> bool {
        match result {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
                false
            }
            Err(DhtError::Alone) => {
                self.queue.push_again(job);
                true
            }
            Err(error) => {
                tracing::debug!(hash = %job.path.hash, %error, "could not announce a path");
                if !self.queue.retry(job) {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                }
                false
            }
        }
    }
}
