//! What is done in the background again and again.
//!
//! Each [`Worker`] is one such thing. It is supervised: one that fails, or even panics, is seen, and tries again after a
//! pause that grows; it never ends silently.

mod capacity_collector;
mod catalog;
mod clock;
mod closures;
mod copies;
mod deployments;
mod feed;
mod gc;
mod generations;
mod probe;
mod publisher;
mod reaper;
mod recovery;
mod registry;
mod scrub;
mod sessions;
mod sharing;
mod sizes;
mod supervise;
mod tiers;
mod touches;
mod trash;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use supervised::keep_running;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::registry::{OfConfig, Subject};
pub use self::registry::{WorkerState, WorkerStatus, Workers};

use crate::core::Core;

/// How long a start may wait until what is in memory is in step with the catalog.
const IN_STEP: Duration = Duration::from_secs(2);

/// Starts to follow what other daemons change in the catalog, if there may be any. What they did before this returns is
/// known, unless the catalog takes too long.
pub async fn follow(core: &Arc<Core>, workers: &Workers) {
    if !core.catalog.is_shared() {
        return;
    }
    let (sender, in_step) = oneshot::channel();
    let (core, stop, sender) = (core.clone(), workers.stopping.clone(), Arc::new(Mutex::new(Some(sender))));
    workers.running.spawn(async move {
        let follow = || feed::run(core.clone(), stop.clone(), sender.lock().take());
        keep_running("following the catalog", &stop, follow).await;
    });
    if !matches!(timeout(IN_STEP, in_step).await, Ok(Ok(()))) {
        tracing::warn!("serving before it is known what other daemons changed a moment ago");
    }
}

/// What went wrong in a round of work.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Something that is done in the background again and again.
pub trait Worker: Send + 'static {
    /// What people call it; unique.
    fn name(&self) -> String;

    /// What it is for, in one line.
    fn purpose(&self) -> &'static str;

    /// Waits until there is something to do. May be cancelled.
    fn wait(&mut self, core: &Arc<Core>) -> impl Future<Output = ()> + Send
    where
        Self: Sized;

    /// Does one round of work. When `stop` is cancelled it may leave the rest for the next start.
    fn work(
        &mut self,
        core: &Arc<Core>,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<(), Failure>> + Send
    where
        Self: Sized;

    /// How long it usually waits, where that is a matter of time.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// The longest pause before a failed round is repeated.
    fn longest_pause(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// How far it has come with what takes many rounds, for a person.
    fn progress(&self) -> Option<String> {
        None
    }

    /// Whether there is something to do right at the start.
    fn begins_at_once(&self) -> bool {
        false
    }

    /// Whether the daemon does one more round when it stops.
    fn ends_with_a_round(&self) -> bool {
        false
    }
}

/// A [`Worker`] as a trait object. With `async_trait` one trait would do, but for each of its methods the compiler checks anew that all
/// of [`Core`] can be shared between threads: that was half of the time it took to compile this crate.
pub trait AnyWorker: Worker {
    /// See [`Worker::wait`].
    fn any_wait<'a>(&'a mut self, core: &'a Arc<Core>) -> BoxFuture<'a, ()>;

    /// See [`Worker::work`].
    fn any_work<'a>(
        &'a mut self,
        core: &'a Arc<Core>,
        stop: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<(), Failure>>;
}

impl<W: Worker> AnyWorker for W {
    fn any_wait<'a>(&'a mut self, core: &'a Arc<Core>) -> BoxFuture<'a, ()> {
        Box::pin(self.wait(core))
    }

    fn any_work<'a>(
        &'a mut self,
        core: &'a Arc<Core>,
        stop: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.work(core, stop))
    }
}

/// Starts all other workers, and those of `more` floors above.
pub fn start(core: &Arc<Core>, workers: &Workers, more: Vec<Box<dyn AnyWorker>>) {
    let own: [Box<dyn AnyWorker>; 16] = [
        Box::new(catalog::Catalog),
        Box::new(clock::Clock),
        Box::new(copies::Copies::new()),
        Box::new(tiers::Tiers::new()),
        Box::new(publisher::Publisher),
        Box::new(generations::Generations::new()),
        Box::new(recovery::Recovery::new(workers.jobs.clone())),
        Box::new(reaper::Reaper::new(core)),
        Box::new(sessions::Sessions),
        Box::new(sharing::Sharing),
        Box::new(sizes::Sizes),
        Box::new(touches::Touches),
        Box::new(trash::Trash::new()),
        Box::new(deployments::Deployments),
        Box::new(closures::Closures::new()),
        Box::new(capacity_collector::CapacityCollector::new(workers.jobs.clone())),
    ];
    for worker in own.into_iter().chain(more) {
        run(core, workers, worker, workers.stopping.clone());
    }
    apply_reload(core, workers);
}

/// Starts the workers that the configuration asks for, and ends those that it asks for no longer.
pub fn apply_reload(core: &Arc<Core>, workers: &Workers) {
    let mut wanted: Vec<Subject> = core.config().server.gc_interval.map(Subject::Gc).into_iter().collect();
    wanted.extend(core.config().server.scrub_interval.map(Subject::Scrub));
    for cache in core.caches().iter() {
        let storages = cache.storages();
        wanted.extend(storages.iter().map(|storage| Subject::Storage(cache.clone(), storage.clone())));
    }
    let mut running = workers.of_config.lock();
    running.retain(|worker| {
        let stays = wanted.iter().any(|subject| subject.is_same(&worker.subject));
        if !stays {
            worker.stop.cancel();
            workers.remove(&worker.status);
        }
        stays
    });
    for subject in wanted {
        if running.iter().any(|worker| worker.subject.is_same(&subject)) {
            continue;
        }
        let stop = workers.stopping.child_token();
        let worker: Box<dyn AnyWorker> = match subject.clone() {
            Subject::Gc(interval) => Box::new(gc::Gc::new(interval, workers.jobs.clone())),
            Subject::Scrub(interval) => Box::new(scrub::Scrub::new(interval)),
            Subject::Storage(cache, storage) => Box::new(probe::Probe::new(cache, storage)),
        };
        let status = run(core, workers, worker, stop.clone());
        running.push(OfConfig { subject, status, stop });
    }
}

fn run(
    core: &Arc<Core>,
    workers: &Workers,
    worker: Box<dyn AnyWorker>,
    stop: CancellationToken,
) -> Arc<WorkerStatus> {
    let status = workers.add(worker.name(), worker.purpose());
    workers.running.spawn(supervise::supervise(core.clone(), worker, status.clone(), stop));
    status
}
