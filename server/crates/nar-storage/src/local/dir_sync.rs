//! Shared fsyncs of directories: one serves all waiting callers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::threads::Pool;

type Fsync = dyn Fn(&Path) -> Result<(), Errno> + Send + Sync;
type Waiters = Vec<oneshot::Sender<Result<(), Errno>>>;

/// Makes directory entries durable. One thread at a time syncs a directory. Callers that arrive meanwhile wait for the next round,
/// which starts after their changes and serves all of them.
pub(super) struct DirSync {
    /// The directories that a thread is syncing, and the callers that wait for the next round.
    waiting: Mutex<HashMap<PathBuf, Waiters>>,
    fsync: Box<Fsync>,
    pool: Pool,
}

/// A sync that was begun.
pub(super) struct Syncing(oneshot::Receiver<Result<(), Errno>>);

impl Syncing {
    /// Returns when the changes are durable.
    pub(super) async fn finish(self) -> io::Result<()> {
        match self.0.await {
            Ok(result) => result.map_err(io::Error::from),
            Err(_) => Err(io::Error::other("the daemon is stopping")),
        }
    }
}

/// The most directories that are synced at the same time.
const AT_ONCE: usize = 16;

impl DirSync {
    /// Creates it with `fsync`, which makes the entries of a directory durable and blocks.
    pub(super) fn new(fsync: impl Fn(&Path) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        Self { waiting: Mutex::default(), fsync: Box::new(fsync), pool: Pool::new(AT_ONCE) }
    }

    /// Begins to make every change durable that was made to `directory` before the call, and does not wait for it.
    pub(super) fn begin(self: &Arc<Self>, directory: PathBuf) -> Syncing {
        let (done, waiter) = oneshot::channel();
        let idle = match self.waiting.lock().entry(directory.clone()) {
            Entry::Occupied(mut at_work) => {
                at_work.get_mut().push(done);
                false
            }
            Entry::Vacant(idle) => {
                idle.insert(vec![done]);
                true
            }
        };
        if idle {
            let this = self.clone();
            self.pool.spawn(move || this.run(&directory));
        }
        Syncing(waiter)
    }

    /// Syncs until no caller waits.
    fn run(&self, directory: &Path) {
        while let Some(waiters) = self.next_round(directory) {
            let result = (self.fsync)(directory);
            for waiter in waiters {
                // The caller may have been dropped.
                let _ = waiter.send(result);
            }
        }
    }

    fn next_round(&self, directory: &Path) -> Option<Waiters> {
        let mut waiting = self.waiting.lock();
        let waiters = waiting.get_mut(directory).map(std::mem::take).filter(|waiters| !waiters.is_empty());
        if waiters.is_none() {
            waiting.remove(directory);
        }
        waiters
    }
}

/// Makes the entries of `directory` durable. Blocks.
pub(super) fn fsync(directory: &Path) -> Result<(), Errno> {
    let directory =
        rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fsync(directory)
}

#[cfg(test)]
mod tests;
