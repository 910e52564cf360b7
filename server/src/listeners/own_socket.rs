//! The file of the admin socket that the daemon has opened itself.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file of a Unix socket, told apart from one that another program may put in its place.
pub(super) struct OwnSocket {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl OwnSocket {
    /// The socket that was just bound to `path`.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }

    /// Whether the file was removed, so that no client finds the socket any more. Another file in its place is left alone.
    pub(super) fn is_gone(&self) -> bool {
        identity(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Removes the file unless it is another one by now.
    pub(super) fn remove(&self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_another_program_put_there_is_neither_missed_nor_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        std::fs::write(&path, "ours").unwrap();
        let own = OwnSocket::at(&path).unwrap();
        assert!(!own.is_gone());
        // The old one stays, so that its inode is not given to the new one.
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        assert!(own.is_gone());
        std::fs::write(&path, "theirs").unwrap();
        assert!(!own.is_gone());
        own.remove();
        assert!(path.exists());
    }
}
