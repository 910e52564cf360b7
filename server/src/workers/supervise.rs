//! Keeps a worker going.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::registry::WorkerStatus;
use super::{AnyWorker, Failure};
use crate::chain::chain;
use crate::core::Core;

/// Pause after a first failed round; it doubles with each further one, up to [`Worker::longest_pause`](super::Worker::longest_pause).
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// What people see of a worker that panicked.
const PANICKED: &str = "it panicked; the log says where";

pub(super) async fn supervise(
    core: Arc<Core>,
    mut worker: Box<dyn AnyWorker>,
    status: Arc<WorkerStatus>,
    stop: CancellationToken,
) {
    if let Some(interval) = worker.interval() {
        status.set_next_run(interval);
    }
    let mut due = worker.begins_at_once();
    loop {
        if !due {
            let waiting = AssertUnwindSafe(worker.any_wait(&core)).catch_unwind();
            match stop.run_until_cancelled(waiting).await {
                None => break,
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    tracing::error!(worker = status.name, "a worker panicked while it waited for work");
                    status.fail(PANICKED.to_owned());
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
            }
        }
        if stop.run_until_cancelled(status.wait_until_allowed()).await.is_none() {
            break;
        }
        due = false;
        if let Some(pause) = round(&core, worker.as_mut(), &status, &stop).await {
            status.set_next_run(pause);
            due = true;
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        if stop.is_cancelled() {
            break;
        }
    }
    if worker.ends_with_a_round() {
        round(&core, worker.as_mut(), &status, &stop).await;
    }
}

/// Does one round. Returns how long to wait before another attempt if it failed.
async fn round(
    core: &Arc<Core>,
    worker: &mut dyn AnyWorker,
    status: &WorkerStatus,
    stop: &CancellationToken,
) -> Option<Duration> {
    status.begin();
    // Whatever a round that panicked has left undone is found by the next one.
    let result = AssertUnwindSafe(worker.any_work(core, stop)).catch_unwind().await;
    status.set_progress(worker.progress());
    let error = match result {
        Ok(Ok(())) => {
            status.succeed(worker.interval());
            return None;
        }
        Ok(Err(error)) => text(&error),
        Err(_) => PANICKED.to_owned(),
    };
    tracing::warn!(worker = status.name, error, "a round of background work has failed");
    let errors = status.fail(error);
    let doublings = u32::try_from(errors - 1).unwrap_or(u32::MAX).min(16);
    Some(FIRST_PAUSE.saturating_mul(1 << doublings).min(worker.longest_pause()))
}

fn text(error: &Failure) -> String {
    chain(&**error)
}
