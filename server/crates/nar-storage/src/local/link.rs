//! Replacing an object by a hard link to the same object of another storage.
//!
//! Readers see the same bytes before and after. The link is made in the spool, where a crash leaves an orphan that the next start
//! removes, and renamed over the object, so that its name never leads nowhere. The caller has verified the object that is
//! linked, and makes sure that nobody stores or removes either of the two meanwhile.
//!
//! A file with several names has one owner and one mode for all of them. So objects that differ in these stay apart.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::{LocalStorage, Shared};
use crate::{Key, Operation, StorageError};

/// Extended attributes that decide who may read a file.
const ATTRIBUTES: [&str; 2] = ["system.posix_acl_access", "security.selinux"];
/// The longest value of an extended attribute in Linux.
const LONGEST_ATTRIBUTE: usize = 64 << 10;

/// What became of an object that was to be linked.
#[derive(Debug)]
pub enum Linking {
    /// A link is in the spool, ready to [take the place](LocalStorage::replace_by_link) of the object.
    Ready(SpooledLink),
    /// Both objects are one file already.
    Linked,
    /// They stay two files, for this reason. Nothing is wrong with the storages.
    Apart(String),
}

/// A hard link in the spool of a storage. If it is dropped, the next start of the storage removes it.
#[derive(Debug)]
pub struct SpooledLink {
    path: PathBuf,
}

/// Tells files apart, whatever their names are. A link is the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    inode: (u64, u64),
    /// The number of a removed file is used again soon, but for a file that is written later.
    modified: (i64, i64),
}

impl LocalStorage {
    /// Makes a hard link in the spool to the object `key` of `source`, provided that this storage has an object of the same key,
    /// size (in bytes), mode and owner.
    ///
    /// # Errors
    ///
    /// If one of the two storages does not work. A file system that refuses the link, because it has none, because the file has too
    /// many or because it is full, is no error.
    pub async fn link_from(&self, source: &Self, key: &Key, size: u64) -> Result<Linking, StorageError> {
        let (what, source) = (key.clone(), source.shared.clone());
        self.blocking(Operation::Put, Some(key), move |shared| link(shared, &source, &what, size)).await
    }

    /// Renames a link over the object `key`. The change is durable after [`sync`](crate::Storage::sync); before that a power failure
    /// may bring back the former file, which has the same bytes.
    pub async fn replace_by_link(&self, key: &Key, link: SpooledLink) -> Result<(), StorageError> {
        let what = key.clone();
        self.blocking(Operation::Put, Some(key), move |shared| replace(shared, &what, &link.path)).await
    }

    /// Returns which file an object is, `None` if it does not exist.
    pub async fn identify(&self, key: &Key) -> Result<Option<FileIdentity>, StorageError> {
        let what = key.clone();
        let identify =
            move |shared: &Shared| Ok(find(&shared.path(&what))?.map(|file| FileIdentity::of(&file)));
        self.blocking(Operation::Head, Some(key), identify).await
    }
}

impl FileIdentity {
    fn of(file: &Metadata) -> Self {
        Self { inode: (file.dev(), file.ino()), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

/// Blocks.
fn link(shared: &Shared, source: &Shared, key: &Key, size: u64) -> io::Result<Linking> {
    shared.check_present()?;
    source.check_present()?;
    let (from, to) = (source.path(key), shared.path(key));
    let (Some(theirs), Some(ours)) = (find(&from)?, find(&to)?) else {
        return Ok(apart("one of them is missing"));
    };
    if is_same(&ours, &theirs) {
        return Ok(Linking::Linked);
    }
    let is_private = |shared: &Shared| shared.is_private.load(Ordering::Relaxed);
    if let Some(reason) = difference(&ours, &theirs, size) {
        return Ok(apart(reason));
    }
    if is_private(shared) != is_private(source) || !has_same_attributes(&from, &to) {
        return Ok(apart("they are for different readers"));
    }
    let number = shared.temporaries.fetch_add(1, Ordering::Relaxed);
    let path = shared.spool.join(format!(".link-{number}"));
    match fs::hard_link(&from, &path) {
        Ok(()) => Ok(Linking::Ready(SpooledLink { path })),
        Err(error) if is_refusal(&error) => Ok(apart(error)),
        Err(error) => Err(error),
    }
}

/// Blocks.
fn replace(shared: &Shared, key: &Key, link: &Path) -> io::Result<()> {
    let replaced = shared.check_present().and_then(|()| fs::rename(link, shared.path(key)));
    // Renaming has failed, or did nothing because somebody else has linked the two. If this fails, the next start removes it.
    let _ = fs::remove_file(link);
    shared.files.forget(key);
    replaced
}

fn apart(reason: impl ToString) -> Linking {
    Linking::Apart(reason.to_string())
}

/// The metadata of a regular file; `None` if there is none of this name. Blocks.
fn find(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Why two files cannot become one, as far as their metadata tells.
fn difference(one: &Metadata, other: &Metadata, size: u64) -> Option<&'static str> {
    if one.len() != size || other.len() != size {
        return Some("one of them does not have its size");
    }
    let access = |file: &Metadata| (file.mode(), file.uid(), file.gid());
    (access(one) != access(other)).then_some("their modes or owners differ")
}

/// Blocks.
fn has_same_attributes(one: &Path, other: &Path) -> bool {
    let value = |path: &Path, name: &str| {
        let mut buffer = vec![0; LONGEST_ATTRIBUTE];
        let length = match rustix::fs::lgetxattr(path, name, &mut buffer) {
            Ok(length) => length,
            Err(Errno::NODATA | Errno::OPNOTSUPP) => 0,
            Err(error) => return Err(error),
        };
        buffer.truncate(length);
        Ok(buffer)
    };
    ATTRIBUTES.iter().all(
        |name| matches!((value(one, name), value(other, name)), (Ok(ours), Ok(theirs)) if ours == theirs),
    )
}

/// Whether a file system refuses a link although nothing is wrong with it.
fn is_refusal(error: &io::Error) -> bool {
    const REFUSALS: [Errno; 10] = [
        Errno::XDEV,
        Errno::PERM,
        Errno::ACCESS,
        Errno::MLINK,
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::NOENT,
    ];
    REFUSALS.iter().any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}

#[cfg(test)]
mod tests;
