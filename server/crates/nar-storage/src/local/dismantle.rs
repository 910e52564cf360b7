//! Removing a storage that holds no objects any more.

use std::{fs, io, path::Path};

use super::{Shared, dir_sync, marker};

/// Deepest directory that is looked into.
const MAX_DEPTH: usize = 8;

/// Removes the directories of objects, the spool and the mark. What is not ours stays, with the directories that hold it,
/// and then the mark as well. Returns whether nothing is left. Blocks.
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

/// Removes the directories below this one in which there is nothing, except for one.
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
