//! One lock per file that is being stored.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use catalog::CacheId;
use nix_formats::FileHash;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

type Locks = HashMap<(CacheId, FileHash), Weak<tokio::sync::Mutex<()>>>;

/// Locks by cache and file hash, so that the same file is not stored twice at once, nor removed while it is stored.
#[derive(Default)]
pub(super) struct FileLocks(Mutex<Locks>);

impl FileLocks {
    /// Waits until nobody else holds the lock of this file.
    pub(super) async fn lock(&self, cache: CacheId, file: FileHash) -> OwnedMutexGuard<()> {
        self.get(cache, file).lock_owned().await
    }

    /// Takes the lock of this file unless somebody holds it.
    pub(super) fn try_lock(&self, cache: CacheId, file: FileHash) -> Option<OwnedMutexGuard<()>> {
        self.get(cache, file).try_lock_owned().ok()
    }

    fn get(&self, cache: CacheId, file: FileHash) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock();
        if let Some(lock) = locks.get(&(cache, file)).and_then(Weak::upgrade) {
            return lock;
        }
        // Those that nobody holds any more are in nobody's way, but they add up.
        if locks.len() >= 1024 {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert((cache, file), Arc::downgrade(&lock));
        lock
    }
}
