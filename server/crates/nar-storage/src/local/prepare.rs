//! Preparing and probing a directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::{Shared, dir_sync, marker, privacy};
use crate::spool;

/// The directory of most objects, see [`layout`](crate::layout).
pub(super) const NARS: &str = "nar";

/// The state of a prepared storage.
pub(super) struct Ready {
    /// See [`Shared::answers_inline`].
    pub(super) inline: bool,
    /// The id of the storage, see [`marker`].
    pub(super) marker: String,
    /// Locked as long as the storage is in use.
    _lock: File,
}

/// Creates the root and its directories and removes orphans from the spool, unless the root is not the storage with the id
/// `expected`. Blocks.
pub(super) fn prepare(shared: &Shared, expected: Option<&str>) -> io::Result<Ready> {
    // Before any change: the spool of another storage must not be cleared either.
    match expected {
        Some(expected) => marker::check(&shared.root, expected)?,
        None => marker::find(&shared.root).map(|_| ())?,
    }
    create_durably(&shared.root)?;
    privacy::close_root(shared)?;
    create_contents(shared)?;
    let lock = spool::claim(&shared.spool, &shared.name)?;
    // The previous holder of the lock may have marked the root. If a marker is expected, none is ever created: the disk may have
    // disappeared since the first check.
    let marker = match expected {
        Some(expected) => {
            marker::check(&shared.root, expected)?;
            expected.to_owned()
        }
        None => match marker::find(&shared.root)? {
            Some(marker) => marker,
            None => marker::create(shared)?,
        },
    };
    dir_sync::fsync(&shared.root)?;
    Ok(Ready { inline: is_local(&shared.root)?, marker, _lock: lock })
}

/// Checks that the storage is available and writable. Blocks.
pub(super) fn probe(shared: &Shared) -> io::Result<()> {
    shared.check_present()?;
    privacy::close_root(shared)?;
    restore(shared)?;
    let number = shared.temporaries.fetch_add(1, Ordering::Relaxed);
    let path = shared.spool.join(format!(".probe-{number}"));
    let mut file = File::create_new(&path)?;
    let written = file.write_all(b"probe").and_then(|()| file.sync_data());
    // The file must not stay, whatever the outcome of the write.
    let removed = fs::remove_file(&path);
    written.and(removed)
}

/// Restores directories that were removed from the root of the storage.
fn restore(shared: &Shared) -> io::Result<()> {
    if shared.spool.is_dir() && shared.root.join(NARS).is_dir() {
        return Ok(());
    }
    create_contents(shared)?;
    // Puts assume that the name of the NAR directory is durable.
    Ok(dir_sync::fsync(&shared.root)?)
}

fn create_contents(shared: &Shared) -> io::Result<()> {
    fs::create_dir_all(shared.root.join(NARS))?;
    spool::create(&shared.spool)
}

/// Creates `directory` and its missing parents durably, so that no object is lost with its directory.
fn create_durably(directory: &Path) -> io::Result<()> {
    let missing = directory.ancestors().take_while(|ancestor| !ancestor.exists()).count();
    fs::create_dir_all(directory)?;
    directory
        .ancestors()
        .skip(1)
        .take(missing)
        .filter(|parent| !parent.as_os_str().is_empty())
        .try_for_each(|parent| dir_sync::fsync(parent).map_err(io::Error::from))
}

/// Returns whether `directory` is on a file system whose calls wait for a local disk at most, and not even for that with the right
/// flags. Calls to other file systems may hang on a server or a user process, whatever the flags.
fn is_local(directory: &Path) -> io::Result<bool> {
    /// Magic numbers from statfs(2).
    const LOCAL: [u32; 9] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // Btrfs
        0xca45_1a4e, // bcachefs
        0xf2f5_2010, // F2FS
        0x2fc1_2fc1, // ZFS
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlayfs
    ];
    let kind = rustix::fs::statfs(directory)?.f_type;
    // The magic numbers have 32 bits; the type of the field has as many or more, and may be signed.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the magic numbers have 32 bits"
    )]
    Ok(LOCAL.contains(&(kind as u32)))
}

#[cfg(test)]
mod tests;
