//! The state directory: one daemon at a time, and none while a restore is unfinished.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// The file that is locked.
pub const LOCK: &str = "lock";
/// Holds what a restore unpacks. As long as it is there, the restore is not finished.
pub const UNFINISHED_RESTORE: &str = "restore.partial";

/// The file that says that a daemon has served here: it may start again without its main port.
pub const HAS_SERVED: &str = "has-served";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be created or locked.
    #[error("state directory {}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another daemon works there.
    #[error("another cache-server already uses the state directory {}", .0.display())]
    InUse(PathBuf),
    /// A backup was restored in part.
    #[error(
        "a restore into {} was not finished: run `cache-server restore FILE` again; or, to start with nothing, \
         remove everything there",
        .0.display()
    )]
    Unrestored(PathBuf),
}

impl StateDirError {
    /// What to do about it, where the error does not say so itself.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unusable { .. } => {
                Some("name a directory that this user can write as `server.state-dir` or in $STATE_DIRECTORY")
            }
            Self::InUse(_) => Some("stop the other one, or give this one a `server.state-dir` of its own"),
            Self::Unrestored(_) => None,
        }
    }
}

/// Creates the state directory and locks it against daemons for as long as the result is kept. Blocks.
pub fn claim(path: &Path) -> Result<File, StateDirError> {
    let failed = |source| StateDirError::Unusable { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o750).create(path).map_err(failed)?;
    let lock = File::create(path.join(LOCK)).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(StateDirError::InUse(path.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// Whether a daemon runs in the state directory. Blocks.
pub fn is_claimed(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join(LOCK)) else { return false };
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

/// Fails if a restore was begun and not finished. Blocks.
pub fn check_restored(path: &Path) -> Result<(), StateDirError> {
    if path.join(UNFINISHED_RESTORE).exists() {
        return Err(StateDirError::Unrestored(path.to_owned()));
    }
    Ok(())
}
