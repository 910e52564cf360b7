//! One fsync of a directory for everyone who waits for one.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use tokio::sync::oneshot;

use super::{lock, threads::Pool};

type Fsync = dyn Fn(&Path) -> Result<(), Errno> + Send + Sync;
type Waiters = Vec<oneshot::Sender<Result<(), Errno>>>;

/// Makes directory entries durable. A directory is synced by one thread at a time; whoever arrives while it is at it
/// waits for the next round, which begins after their change and serves all of them.
pub(super) struct DirSync {
    /// Directories with a thread at work, and who waits for its next round.
    waiting: Mutex<HashMap<PathBuf, Waiters>>,
    fsync: Box<Fsync>,
    pool: Pool,
}

/// Directories that are synced at the same time.
const AT_ONCE: usize = 16;

impl DirSync {
    /// `fsync` makes the entries of a directory durable and blocks.
    pub(super) fn new(fsync: impl Fn(&Path) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        Self { waiting: Mutex::default(), fsync: Box::new(fsync), pool: Pool::new(AT_ONCE) }
    }

    /// Returns when every change made to `directory` before the call is durable.
    pub(super) async fn sync(self: &Arc<Self>, directory: PathBuf) -> io::Result<()> {
        let (done, waiter) = oneshot::channel();
        let idle = match lock(&self.waiting).entry(directory.clone()) {
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
            let this = Arc::clone(self);
            self.pool.spawn(move || this.run(&directory));
        }
        match waiter.await {
            Ok(result) => result.map_err(io::Error::from),
            Err(_) => Err(io::Error::other("the daemon is stopping")),
        }
    }

    /// Syncs until nobody waits any more.
    fn run(&self, directory: &Path) {
        while let Some(waiters) = self.next_round(directory) {
            let result = (self.fsync)(directory);
            for waiter in waiters {
                // One who gave up waiting needs no answer.
                let _ = waiter.send(result);
            }
        }
    }

    fn next_round(&self, directory: &Path) -> Option<Waiters> {
        let mut waiting = lock(&self.waiting);
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
