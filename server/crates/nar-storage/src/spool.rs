//! Spools: directories of files that are to become objects. Each storage has one.
//!
//! Files that a crash leaves in a spool are orphans and are removed, except for directories that hold a file called [`KEPT`].

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// The name of a file that protects its directory from removal by [`Storage::prepare`](crate::Storage::prepare). Its creator
/// resumes or removes the directory.
pub const KEPT: &str = "kept";

/// The unit in which a file system counts the blocks of a file, in bytes.
const BLOCK: u64 = 512;

/// Creates the spool `directory` with mode 0700 if it is missing. Blocks.
pub(crate) fn create(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Locks the spool for the storage called `storage` as long as the returned file stays open, and removes orphans. Blocks.
pub(crate) fn claim(directory: &Path, storage: &str) -> io::Result<File> {
    let lock = lock(directory)?;
    clear(directory, storage)?;
    Ok(lock)
}

/// Opens the file at `spooled`. A missing file is not reported as [`io::ErrorKind::NotFound`], which callers would take for a
/// missing object. Blocks.
pub(crate) fn open(spooled: &Path) -> io::Result<File> {
    File::open(spooled).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!("{} is not in the spool", spooled.display())),
        _ => error,
    })
}

/// Returns the bytes of the files in a spool, without their holes. Blocks.
pub fn spooled_bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let counted = match entry.file_type() {
            Ok(kind) if kind.is_dir() => spooled_bytes(&entry.path()),
            // A link to an object takes no room. It is about to be renamed.
            Ok(_) => entry.metadata().map(|file| match file.nlink() {
                0 | 1 => file.len().min(file.blocks() * BLOCK),
                _ => 0,
            }),
            Err(error) => Err(error),
        };
        match counted {
            Ok(counted) => bytes += counted,
            // Uploads end at any time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Locks a spool: two daemons on one spool would take each other's uploads for orphans.
fn lock(directory: &Path) -> io::Result<File> {
    // The directory itself is locked, so that an idle spool is empty.
    let lock = File::open(directory)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::other(format!("{} is in use by another daemon", directory.display())))
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!(spool = %directory.display(), %error, "cannot lock the spool: make sure that no other daemon uses it");
            Ok(lock)
        }
    }
}

fn clear(directory: &Path, storage: &str) -> io::Result<()> {
    let mut removed = 0_u64;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if entry.path().join(KEPT).is_file() {
                continue;
            }
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
        removed += 1;
    }
    if removed > 0 {
        tracing::info!(storage, removed, "removed unfinished uploads of an earlier run");
    }
    Ok(())
}
