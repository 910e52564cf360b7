//! Removal of an empty storage.

use std::fs;
use std::io;
use std::path::Path;

use super::{Shared, dir_sync, marker};

/// The deepest directory that is examined.
const MAX_DEPTH: usize = 8;

/// Removes the directories of objects, the spool and the marker. Foreign files stay together with their directories, and then the
/// marker stays as well. Returns whether nothing is left. Blocks.
pub(super) fn dismantle(shared: &Shared) -> io::Result<bool> {
    shared.check_present()?;
    remove_empty(&shared.root, &shared.spool, 0)?;
    let marker = marker::path(&shared.root);
    for entry in fs::read_dir(&shared.root)? {
        let path = entry?.path();
        if path != shared.spool && path != marker {
            return Ok(false);
        }
    }
    fs::remove_dir_all(&shared.spool)?;
    fs::remove_file(marker)?;
    match fs::remove_dir(&shared.root) {
        // A file system is mounted there.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => return Ok(true),
        removed => removed?,
    }
    if let Some(parent) = shared.root.parent() {
        dir_sync::fsync(parent)?;
    }
    Ok(true)
}

/// Removes the empty directories below this one, except for one.
fn remove_empty(directory: &Path, except: &Path, depth: usize) -> io::Result<()> {
    if depth >= MAX_DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() && path != except {
            remove_empty(&path, except, depth + 1)?;
            match fs::remove_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
