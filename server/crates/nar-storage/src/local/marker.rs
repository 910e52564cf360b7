//! The file by which a storage knows its directory.
//!
//! Where a disk is not mounted there is an empty directory, what was once written to that one, or another disk. A file
//! in the root with an id that no other storage has tells them from the storage. Its content is all that counts: the
//! directory may be moved, and its file system be another one after every start.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;
use uuid::Uuid;

use super::{Shared, put::Temporary};

/// Name of the file within the root. No [`Key`](crate::Key) starts with a dot.
const MARKER: &str = ".cache-server-storage";
/// Longest id in bytes. Ours have 36; people may choose their own.
const MAX_LEN: usize = 128;

/// Why a directory is not taken for the storage. The reader is who has to do something about it.
#[derive(Debug, Error)]
pub(super) enum Stranger {
    #[error(
        "{} is missing; is its file system mounted? If that directory really is this storage, create the file \
         with the line {expected}",
        marker.display()
    )]
    Unmarked { marker: PathBuf, expected: String },
    #[error(
        "{} says {found:?} instead of {expected:?}: another storage is there; is the right file system mounted? \
         If that directory really is this storage, make the file's only line {expected}",
        marker.display()
    )]
    Another { marker: PathBuf, found: String, expected: String },
    #[error(
        "{} does not hold the id of a storage, one line of at most {MAX_LEN} printable characters; if nothing \
         else knows the id, remove the file to have it written anew",
        marker.display()
    )]
    Illegible { marker: PathBuf },
    #[error("it could not be made ready so far; every probe tries again")]
    Unprepared,
}

impl From<Stranger> for io::Error {
    fn from(stranger: Stranger) -> Self {
        Self::other(stranger)
    }
}

/// The file that marks `root`.
pub(super) fn path(root: &Path) -> PathBuf {
    root.join(MARKER)
}

/// Makes sure that `root` is the storage with the id `expected`. Blocks.
pub(super) fn check(root: &Path, expected: &str) -> io::Result<()> {
    let (marker, expected) = (path(root), expected.to_owned());
    match read(&marker)? {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(Stranger::Another { marker, found, expected }.into()),
        None => Err(Stranger::Unmarked { marker, expected }.into()),
    }
}

/// The id of the storage in `root`, none if it is not marked. Blocks.
pub(super) fn find(root: &Path) -> io::Result<Option<String>> {
    let marker = path(root);
    match read(&marker)? {
        Some(id) if !is_id(&id) => Err(Stranger::Illegible { marker }.into()),
        found => Ok(found),
    }
}

/// Marks the root with a new id. The mark is whole or not there; it is durable once the root is synced. Blocks.
pub(super) fn create(shared: &Shared) -> io::Result<String> {
    let id = Uuid::new_v4().to_string();
    let mut marker = Temporary::create(shared)?;
    marker.file.write_all(format!("{id}\n").as_bytes())?;
    marker.file.sync_all()?;
    marker.rename(&path(&shared.root))?;
    Ok(id)
}

/// What the file says, whatever that is, but for white space around it.
fn read(marker: &Path) -> io::Result<Option<String>> {
    let file = match File::open(marker) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened?,
    };
    let mut text = Vec::new();
    // With an end of line, and one byte to see that there is too much.
    file.take(MAX_LEN as u64 + 2).read_to_end(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()))
}

fn is_id(text: &str) -> bool {
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
