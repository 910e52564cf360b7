//! The directories to sync so that a name is durable.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::Key;

/// The directories below a root.
///
/// A file is only as durable as the entries of all directories above it. Syncing all of them for every file would double the cost of
/// a put, so the few directories directly below the root are remembered once they are durable.
pub(super) struct Directories {
    root: PathBuf,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, durable: Mutex::default() }
    }

    /// Creates the directories above `key`, but never the root: if that is missing, the disk is. Blocks.
    pub(super) fn create_above(&self, key: &Key) -> io::Result<()> {
        let mut directory = self.root.clone();
        for component in above(key) {
            directory.push(component);
            match fs::create_dir(&directory) {
                Ok(()) => self.durable.lock().remove(&directory),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Returns the directories to sync so that the name of `key` is durable. The first one is its parent.
    pub(super) fn to_sync(&self, key: &Key) -> Vec<PathBuf> {
        let durable = self.durable.lock();
        let mut directory: PathBuf = self.root.join(key.as_str());
        let mut to_sync = Vec::new();
        while directory != self.root && directory.pop() {
            to_sync.push(directory.clone());
            if durable.contains(&directory) {
                break;
            }
        }
        to_sync
    }

    /// Records that the directories of [`to_sync`](Self::to_sync) were synced.
    pub(super) fn synced(&self, key: &Key) {
        if let Some(topmost) = above(key).next() {
            let topmost = self.root.join(topmost);
            let mut durable = self.durable.lock();
            if !durable.contains(&topmost) {
                durable.insert(topmost);
            }
        }
    }
}

/// Returns the components of the directory of `key`.
fn above(key: &Key) -> impl Iterator<Item = &std::ffi::OsStr> {
    Path::new(key.as_str()).parent().into_iter().flat_map(Path::iter)
}

#[cfg(test)]
mod tests;
