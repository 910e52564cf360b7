//! The marker file by which a storage recognizes its directory.
//!
//! If a disk is not mounted, its mount point is an empty directory, a directory with old files, or another disk. A file in the root
//! with a unique id tells these from the storage. Only its content counts: the directory may be moved, and its file system may
//! change with every start.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

use super::Shared;
use super::put::Temporary;

/// The name of the file within the root. No [`Key`](crate::Key) starts with a dot.
const MARKER: &str = ".cache-server-storage";
/// The longest id in bytes. Generated ids have 36; operators may choose their own.
const MAX_LEN: usize = 128;

/// Why a directory is not accepted as the storage. The text is for the operator who has to act.
#[derive(Debug, Error)]
pub(super) enum MarkerMismatch {
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
    #[error("it is not prepared yet; every probe retries")]
    Unprepared,
}

impl From<MarkerMismatch> for io::Error {
    fn from(mismatch: MarkerMismatch) -> Self {
        Self::other(mismatch)
    }
}

/// Returns the path of the marker file of `root`.
pub(super) fn path(root: &Path) -> PathBuf {
    root.join(MARKER)
}

/// Checks that `root` is the storage with the id `expected`. Blocks.
pub(super) fn check(root: &Path, expected: &str) -> io::Result<()> {
    let (marker, expected) = (path(root), expected.to_owned());
    match read(&marker)? {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(MarkerMismatch::Another { marker, found, expected }.into()),
        None => Err(MarkerMismatch::Unmarked { marker, expected }.into()),
    }
}

/// Returns the id of the storage in `root`, `None` without a marker. Blocks.
pub(super) fn find(root: &Path) -> io::Result<Option<String>> {
    let marker = path(root);
    match read(&marker)? {
        Some(id) if !is_id(&id) => Err(MarkerMismatch::Illegible { marker }.into()),
        found => Ok(found),
    }
}

/// Marks the root with a new id, atomically. The marker is durable once the root is synced. Blocks.
pub(super) fn create(shared: &Shared) -> io::Result<String> {
    let id = Uuid::new_v4().to_string();
    let mut marker = Temporary::create(shared)?;
    marker.file.write_all(format!("{id}\n").as_bytes())?;
    marker.file.sync_all()?;
    marker.rename(&path(&shared.root))?;
    Ok(id)
}

/// Returns the trimmed content of the file, valid or not.
fn read(marker: &Path) -> io::Result<Option<String>> {
    let file = match File::open(marker) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened?,
    };
    let mut text = Vec::new();
    // Including a line break, and one byte to detect longer content.
    file.take(MAX_LEN as u64 + 2).read_to_end(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()))
}

fn is_id(text: &str) -> bool {
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
