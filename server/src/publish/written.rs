//! Which paths had their files beside the NAR written by this daemon.
//!
//! A path on the list of due paths says nothing about whether its files are written yet: its push may still be at it, here or
//! on another daemon that shares the catalog. So the worker takes from the list only what is known to be written.

use std::collections::HashSet;

use catalog::{NarId, PathId, PathRecord};
use parking_lot::Mutex;

/// Paths by their rows. Whatever changes in the files gives one of the two another id.
#[derive(Default)]
pub(super) struct Written(Mutex<HashSet<(PathId, NarId)>>);

impl Written {
    /// Adds a path.
    pub(super) fn add(&self, path: &PathRecord) {
        self.lock().insert((path.id, path.nar.id));
    }

    /// Whether the files were written as the path is now.
    pub(super) fn has(&self, path: &PathRecord) -> bool {
        self.lock().contains(&(path.id, path.nar.id))
    }

    /// Takes all out.
    pub(super) fn take(&self) -> Self {
        Self(Mutex::new(std::mem::take(&mut *self.lock())))
    }

    /// Puts those back that were taken.
    pub(super) fn put_back(&self, taken: Self) {
        self.lock().extend(taken.0.into_inner());
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashSet<(PathId, NarId)>> {
        self.0.lock()
    }
}
