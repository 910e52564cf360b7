//! Which directories have to be synced for a name to be durable.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::lock;
use crate::Key;

/// The directories below a root.
///
/// A file is only as durable as the entries of all directories above it. Syncing all of them for every file would
/// double the cost of a put, so the ones directly below the root, a handful, are remembered once they are durable.
pub(super) struct Directories {
    root: PathBuf,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, durable: Mutex::default() }
    }

    /// Creates the directories above `key`, but never the root: where that is missing, a disk is. Blocks.
    pub(super) fn create_above(&self, key: &Key) -> io::Result<()> {
        let mut directory = self.root.clone();
        for component in above(key) {
            directory.push(component);
            match fs::create_dir(&directory) {
                Ok(()) => lock(&self.durable).remove(&directory),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// The directories whose sync makes the name of `key` durable. The first one is its parent.
    pub(super) fn to_sync(&self, key: &Key) -> Vec<PathBuf> {
        let durable = lock(&self.durable);
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

    /// Notes that what [`to_sync`](Self::to_sync) named has been synced.
    pub(super) fn synced(&self, key: &Key) {
        if let Some(topmost) = above(key).next() {
            let topmost = self.root.join(topmost);
            let mut durable = lock(&self.durable);
            if !durable.contains(&topmost) {
                durable.insert(topmost);
            }
        }
    }
}

/// The components of the directory that `key` is in.
fn above(key: &Key) -> impl Iterator<Item = &std::ffi::OsStr> {
    Path::new(key.as_str()).parent().into_iter().flat_map(Path::iter)
}

#[cfg(test)]
mod tests;
