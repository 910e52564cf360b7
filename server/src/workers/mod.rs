//! Background jobs.

mod probe;
mod publisher;
mod reaper;
mod touches;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Starts all background jobs. Each does its last round when `stop` is cancelled.
pub fn start(app: &Arc<App>, stop: &CancellationToken) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    workers.spawn(probe::run(app.clone(), stop.clone()));
    workers.spawn(publisher::run(app.clone(), stop.clone()));
    workers.spawn(reaper::run(app.clone(), stop.clone()));
    workers.spawn(touches::run(app.clone(), stop.clone()));
    workers
}
