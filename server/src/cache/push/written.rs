//! Which paths had their files beside the NAR written by this daemon.
//!
//! The list of paths whose files are to be made durable is shared with other daemons. A path on it says nothing about who
//! has written its files, or whether that is done, so a daemon takes from the list only what it wrote itself.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use catalog::{NarId, PathId, PathRecord};

/// Paths by their rows. Whatever changes in the files gives one of the two another id.
#[derive(Default)]
pub struct Written(Mutex<HashSet<(PathId, NarId)>>);

impl Written {
    /// Adds a path.
    pub fn add(&self, path: &PathRecord) {
        self.lock().insert((path.id, path.nar.id));
    }

    /// Whether the files were written as the path is now.
    pub fn has(&self, path: &PathRecord) -> bool {
        self.lock().contains(&(path.id, path.nar.id))
    }

    /// Takes all out.
    pub fn take(&self) -> Self {
        Self(Mutex::new(std::mem::take(&mut *self.lock())))
    }

    /// Puts those back that were taken.
    pub fn put_back(&self, taken: Self) {
        self.lock().extend(taken.0.into_inner().unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(PathId, NarId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
