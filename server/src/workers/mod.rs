//! What is done in the background again and again.
//!
//! Each [`Worker`] is one such thing. It is supervised: one that fails, or even panics, is seen, and tries again after a
//! pause that grows; it never ends silently.

mod feed;
mod gc;
mod probe;
mod publisher;
mod reaper;
mod registry;
mod supervise;
mod touches;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::registry::{WorkerState, WorkerStatus, Workers};

use crate::app::App;

/// How long a start may wait until what is in memory is in step with the catalog.
const IN_STEP: Duration = Duration::from_secs(2);

/// Starts to follow what other daemons change in the catalog, if there may be any. What they did before this returns is
/// known, unless the catalog takes too long.
pub async fn follow(app: &Arc<App>, stop: &CancellationToken, running: &mut JoinSet<()>) {
    if !app.catalog.is_shared() {
        return;
    }
    let (sender, in_step) = oneshot::channel();
    running.spawn(feed::run(app.clone(), stop.clone(), sender));
    if !matches!(timeout(IN_STEP, in_step).await, Ok(Ok(()))) {
        tracing::warn!("serving before it is known what other daemons changed a moment ago");
    }
}

/// What went wrong in a round of work.
type Failure = Box<dyn Error + Send + Sync>;

/// Something that is done in the background again and again.
#[async_trait]
trait Worker: Send + 'static {
    /// What people call it; unique.
    fn name(&self) -> String;

    /// What it is for, in one line.
    fn purpose(&self) -> &'static str;

    /// Waits until there is something to do. May be cancelled.
    async fn wait(&mut self, app: &Arc<App>);

    /// Does one round of work. When `stop` is cancelled it may leave the rest for the next start.
    async fn work(&mut self, app: &Arc<App>, stop: &CancellationToken) -> Result<(), Failure>;

    /// How long it usually waits, where that is a matter of time.
    fn interval(&self) -> Option<Duration> {
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

/// Starts all other workers. They end when `stop` is cancelled.
pub fn start(app: &Arc<App>, stop: &CancellationToken, running: &mut JoinSet<()>) {
    let mut workers: Vec<Box<dyn Worker>> =
        vec![Box::new(publisher::Publisher), Box::new(reaper::Reaper::new(app)), Box::new(touches::Touches)];
    workers.extend(gc::Gc::new(app).map(|gc| Box::new(gc) as Box<dyn Worker>));
    for cache in app.caches.iter() {
        for storage in cache.storages.iter() {
            workers.push(Box::new(probe::Probe::new(cache.clone(), storage.clone())));
        }
    }
    for worker in workers {
        let status = app.workers.add(worker.name(), worker.purpose());
        running.spawn(supervise::supervise(app.clone(), worker, status, stop.clone()));
    }
}
