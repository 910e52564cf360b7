//! The blocking threads of one storage.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a quick operation may take, with a margin for disks that spin up or are busy.
const QUICK: Duration = Duration::from_secs(10);
/// How long an operation may take that moves the bytes of a NAR.
const SLOW: Duration = Duration::from_secs(600);

/// Runs blocking operations on a bounded number of threads. Callers wait for a bounded time.
///
/// The threads belong to the storage: a dead disk blocks no threads of other storages, and if an operation gets no thread in time,
/// its own disk is the reason.
pub(super) struct Threads {
    free: Arc<Semaphore>,
    patience: Duration,
    pool: Pool,
}

/// A pool of blocking threads. They start on demand and end after some idle seconds.
pub(super) struct Pool {
    /// A runtime that runs no tasks: only its blocking threads are used. Always there until it is dropped.
    runtime: Option<Runtime>,
}

impl Pool {
    /// Creates a pool of at most `threads` threads and starts none of them.
    pub(super) fn new(threads: usize) -> Self {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.thread_name("storage").max_blocking_threads(threads).build();
        // It has neither timers nor sockets, for which files would have to be opened.
        Self { runtime: Some(runtime.expect("a runtime without drivers can always be built")) }
    }

    /// Runs `job` on one of the threads, as soon as one is free.
    pub(super) fn spawn<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let runtime = self.runtime.as_ref().expect("the runtime is there until the pool is dropped");
        runtime.spawn_blocking(job)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // A task may drop it, and must not wait for threads that a disk blocks.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// Returns threads for operations that readers wait for.
    pub(super) fn quick() -> Self {
        Self::new(64, QUICK)
    }

    /// Returns threads for slow operations, so that readers do not queue behind the syncs of a busy push.
    pub(super) fn slow() -> Self {
        Self::new(32, SLOW)
    }

    fn new(threads: usize, patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(threads)), patience, pool: Pool::new(threads) }
    }

    /// Runs `job` on a blocking thread. If it takes too long, returns [`io::ErrorKind::TimedOut`]; the job cannot be stopped and
    /// keeps its thread until it ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let run = async {
            let thread = self.free.clone().acquire_owned().await.map_err(io::Error::other)?;
            let job = move || {
                let result = job();
                drop(thread);
                result
            };
            self.pool.spawn(job).await.map_err(io::Error::other)?
        };
        self.wait(run).await
    }

    /// Waits for `work` at most as long as for a job.
    pub(super) async fn wait<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        timeout(self.patience, work).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", self.patience.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, reason))
        })
    }

    /// Runs `job` in the background if a thread is free.
    pub(super) fn run_aside(&self, job: impl FnOnce() + Send + 'static) {
        if let Ok(thread) = self.free.clone().try_acquire_owned() {
            self.pool.spawn(move || {
                job();
                drop(thread);
            });
        }
    }
}

#[cfg(test)]
mod tests;
