//! Background tasks that never end silently.
//!
//! A task that panics would otherwise leave a daemon that looks healthy and has stopped doing one of its jobs.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pause before a first restart. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a restart. A task that ran for longer counts as healthy.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs the task that `start` makes until it returns. If it panics, the log says so and another is started after a pause, unless
/// `stop` is cancelled. The task has to end by itself when that happens, so that it can finish what it is at. What it shares with
/// others has to be usable after a panic.
pub async fn keep_running<T, F>(name: &str, stop: &CancellationToken, mut start: F)
where
    T: Future<Output = ()>,
    F: FnMut() -> T,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let task = AssertUnwindSafe(async { start().await }).catch_unwind();
        match stop.run_until_cancelled(task).await {
            None | Some(Ok(())) => return,
            // The panic hook has logged the message.
            Some(Err(_)) => {
                tracing::error!(task = name, ?pause, "a background task has panicked; restarting it")
            }
        }
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_until_it_ends_by_itself() {
        let (runs, stop) = (AtomicU32::new(0), CancellationToken::new());
        keep_running("test", &stop, || async {
            tokio::task::yield_now().await;
            assert!(runs.fetch_add(1, Ordering::Relaxed) == 9, "it fails for the first nine times");
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panicked_is_not_started_again_while_everything_stops() {
        let (runs, stop) = (AtomicU32::new(0), CancellationToken::new());
        let task = keep_running("test", &stop, || async {
            runs.fetch_add(1, Ordering::Relaxed);
            panic!("it fails");
        });
        let stopper = async {
            tokio::time::sleep(FIRST_PAUSE / 2).await;
            stop.cancel();
        };
        tokio::join!(task, stopper);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}
