//! Making a directory a storage, and checking that it is one.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::atomic::Ordering,
};

use super::{Shared, dir_sync, marker};
use crate::spool;

/// Directory of most objects, see [`layout`](crate::layout).
const NARS: &str = "nar";

/// What is known of a prepared storage.
pub(super) struct Ready {
    /// See [`Shared::answers_inline`].
    pub(super) inline: bool,
    /// Id of the storage, see [`marker`].
    pub(super) marker: String,
    /// Locked as long as the storage is in use.
    _lock: File,
}

/// Creates the root and what is in it, and removes what a crash left in the spool, unless the root is not the storage
/// with the id `expected`. Blocks.
pub(super) fn prepare(shared: &Shared, expected: Option<&str>) -> io::Result<Ready> {
    // Before anything is touched: the spool of another storage is none of our business either.
    match expected {
        Some(expected) => marker::check(&shared.root, expected)?,
        None => marker::find(&shared.root).map(|_| ())?,
    }
    create_durably(&shared.root)?;
    create_contents(shared)?;
    let lock = spool::claim(&shared.spool, &shared.name)?;
    // Whoever held the lock until now may have marked the root. Where a mark is expected, none is ever made: the disk
    // may have dropped out since the first look.
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

/// Checks that the storage is there and can be written to. Blocks.
pub(super) fn probe(shared: &Shared) -> io::Result<()> {
    shared.check_present()?;
    restore(shared)?;
    let number = shared.temporaries.fetch_add(1, Ordering::Relaxed);
    let path = shared.spool.join(format!(".probe-{number}"));
    let mut file = File::create_new(&path)?;
    let written = file.write_all(b"probe").and_then(|()| file.sync_data());
    // Whatever the outcome of the write, it must not stay.
    let removed = fs::remove_file(&path);
    written.and(removed)
}

/// Creates again what someone has removed from a root that is still the storage.
fn restore(shared: &Shared) -> io::Result<()> {
    if shared.spool.is_dir() && shared.root.join(NARS).is_dir() {
        return Ok(());
    }
    create_contents(shared)?;
    // Puts take it that the directory of the NARs has a durable name.
    Ok(dir_sync::fsync(&shared.root)?)
}

fn create_contents(shared: &Shared) -> io::Result<()> {
    fs::create_dir_all(shared.root.join(NARS))?;
    spool::create(&shared.spool)
}

/// Creates `directory` and what is missing above it, durably: an object in it must not vanish with the directory.
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

/// Whether `directory` is on a file system whose calls wait for a local disk at most, and not for that when told not
/// to. A call to any other may hang with a server or a user process, whatever its flags say.
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
