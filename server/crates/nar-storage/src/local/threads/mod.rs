//! The blocking threads of one storage.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// Threads that one storage may have waiting for its disk. The runtime has 512 for everyone: a disk that has died must
/// not take them all.
const MAX_THREADS: usize = 64;

/// How long something that a client waits for may take. Disks that spin up, or are busy, are slower than one thinks.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// How long something may take that moves as many bytes as a NAR has.
pub(super) const EVENTUALLY: Duration = Duration::from_secs(600);

/// Runs what may block, for a bounded time as far as the caller is concerned.
pub(super) struct Threads {
    free: Arc<Semaphore>,
}

impl Threads {
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(MAX_THREADS)) }
    }

    /// Runs `job` on a blocking thread. After `patience` the caller gets [`io::ErrorKind::TimedOut`]; the job goes on,
    /// as nothing can stop it, and keeps its thread from others until it ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        patience: Duration,
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
        within(patience, run).await
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

/// Waits for `work` no longer than `patience`.
pub(super) async fn within<T>(
    patience: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", patience.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, reason))
    })
}

#[cfg(test)]
mod tests;
