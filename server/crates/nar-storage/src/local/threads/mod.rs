//! The blocking threads of one storage.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// How long a quick operation may take. Disks that spin up, or are busy, are slower than one thinks.
const QUICK: Duration = Duration::from_secs(10);
/// How long an operation may take that moves as many bytes as a NAR has.
const SLOW: Duration = Duration::from_secs(600);

/// Runs what may block on a bounded number of threads and, as far as the caller is concerned, for a bounded time.
///
/// The runtime has 512 threads for everyone: a disk that has died must not take them all.
pub(super) struct Threads {
    free: Arc<Semaphore>,
    patience: Duration,
}

impl Threads {
    /// Threads for what a reader waits for.
    pub(super) fn quick() -> Self {
        Self::new(64, QUICK)
    }

    /// Threads for what may take its time: readers do not queue behind the syncs of a busy push.
    pub(super) fn slow() -> Self {
        Self::new(32, SLOW)
    }

    fn new(threads: usize, patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(threads)), patience }
    }

    /// Runs `job` on a blocking thread. When that takes too long the caller gets [`io::ErrorKind::TimedOut`]; the
    /// job goes on, as nothing can stop it, and keeps its thread from others until it ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let run = async {
            let thread = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
            let job = move || {
                let result = job();
                drop(thread);
                result
            };
            spawn_blocking(job).await.map_err(io::Error::other)?
        };
        self.wait(run).await
    }

    /// Waits for `work` no longer than for a job.
    pub(super) async fn wait<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        timeout(self.patience, work).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", self.patience.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, reason))
        })
    }

    /// Runs `job` if a thread is free, and lets nobody wait for it.
    pub(super) fn run_aside(&self, job: impl FnOnce() + Send + 'static) {
        if let Ok(thread) = Arc::clone(&self.free).try_acquire_owned() {
            spawn_blocking(move || {
                job();
                drop(thread);
            });
        }
    }
}

#[cfg(test)]
mod tests;
