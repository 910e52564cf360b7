//! What can go wrong with a storage.

use std::{fmt, io, ops::Range, sync::Arc};

use rustix::io::Errno;
use thiserror::Error;

use crate::Key;

/// A failed operation of a storage. Every variant says which storage, which operation and, where there is one, which
/// key; none of it is meant for a client's eyes.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The storage works and does not hold the object.
    #[error("{context}: not there")]
    NotFound {
        /// What was attempted.
        context: Context,
    },
    /// The object has another size than the caller knows it to have: it is damaged.
    #[error("{context}: damaged, it has {actual} bytes instead of {expected}")]
    SizeMismatch {
        /// What was attempted.
        context: Context,
        /// Size in bytes that the caller expects.
        expected: u64,
        /// Size in bytes that was found.
        actual: u64,
    },
    /// The range asked for is not within the object.
    #[error("{context}: bytes {}..{} are not within its {size} bytes", range.start, range.end)]
    InvalidRange {
        /// What was attempted.
        context: Context,
        /// The range asked for, half-open, in bytes.
        range: Range<u64>,
        /// Size of the object in bytes.
        size: u64,
    },
    /// No space or no quota is left.
    #[error("{context}: the storage is full")]
    Full {
        /// What was attempted.
        context: Context,
    },
    /// The file system refuses access to the daemon.
    #[error("{context}: {source}; check owner and mode of the storage's directory")]
    Denied {
        /// What was attempted.
        context: Context,
        /// What the system said.
        source: io::Error,
    },
    /// The storage as a whole does not work: not mounted, read-only, gone, or failing.
    #[error("{context}: the storage is unavailable: {reason}")]
    Unavailable {
        /// What was attempted.
        context: Context,
        /// What is wrong with it.
        reason: String,
    },
    /// The object cannot be stored or named by any file system of this kind: it is too large, or its name too long. Says
    /// nothing about the storage.
    #[error("{context}: the file system does not take it: {source}")]
    Unfit {
        /// What was attempted.
        context: Context,
        /// What the system said.
        source: io::Error,
    },
    /// The file that was to be stored cannot be read from the spool, which is on another disk. Says nothing about the storage.
    #[error("{context}: the spooled file cannot be read: {source}")]
    Spool {
        /// What was attempted.
        context: Context,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("{context}: {source}")]
    Io {
        /// What was attempted.
        context: Context,
        /// What the system said.
        source: io::Error,
    },
}

impl StorageError {
    /// Sorts an error of the operating system by what it means for the storage.
    #[must_use]
    pub fn from_io(context: Context, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match (source.kind(), Errno::from_io_error(&source)) {
            (Kind::NotFound, _) if context.operation.finds_objects() => Self::NotFound { context },
            (Kind::NotFound, _) => {
                let reason =
                    format!("one of its directories is gone ({source}); is its file system mounted?");
                Self::Unavailable { context, reason }
            }
            (Kind::StorageFull | Kind::QuotaExceeded, _) => Self::Full { context },
            (Kind::PermissionDenied, _) => Self::Denied { context, source },
            _ if is_unfit(&source) => Self::Unfit { context, source },
            (
                Kind::TimedOut
                | Kind::ReadOnlyFilesystem
                | Kind::NotConnected
                | Kind::StaleNetworkFileHandle
                | Kind::HostUnreachable,
                _,
            )
            | (
                _,
                Some(
                    Errno::IO
                    | Errno::NODEV
                    | Errno::NXIO
                    | Errno::NOMEDIUM
                    | Errno::REMOTEIO
                    | Errno::HOSTDOWN
                    | Errno::SHUTDOWN
                    | Errno::UCLEAN,
                ),
            ) => Self::Unavailable { context, reason: source.to_string() },
            _ => Self::Io { context, source },
        }
    }

    /// Sorts an error of writing to the spool of the storage called `storage`, which is no operation of the storage
    /// itself: it means the same as one of a put.
    #[must_use]
    pub fn from_spool(storage: &str, source: io::Error) -> Self {
        Self::from_io(Context { storage: storage.into(), operation: Operation::Put, key: None }, source)
    }

    /// What was attempted, on which storage and key.
    #[must_use]
    pub fn context(&self) -> &Context {
        match self {
            Self::NotFound { context }
            | Self::SizeMismatch { context, .. }
            | Self::InvalidRange { context, .. }
            | Self::Full { context }
            | Self::Denied { context, .. }
            | Self::Unavailable { context, .. }
            | Self::Unfit { context, .. }
            | Self::Spool { context, .. }
            | Self::Io { context, .. } => context,
        }
    }

    /// The object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The object is missing or has the wrong size, so that nothing may promise it any more until it is pushed again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::SizeMismatch { .. })
    }

    /// Another storage may have room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// No storage would take the object: its sender is at fault.
    #[must_use]
    pub fn is_unfit(&self) -> bool {
        matches!(self, Self::Unfit { .. })
    }

    /// The disk that the file was spooled on failed, and not the storage.
    #[must_use]
    pub fn is_of_spool(&self) -> bool {
        matches!(self, Self::Spool { .. })
    }

    /// The storage does not work for now; what it holds is neither lost nor known to be there.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Denied { .. })
    }
}

/// Whether an error of the operating system is about what a client asked for, such as a file beyond the largest size or a
/// name beyond the longest, and says nothing about the disk.
#[must_use]
pub fn is_unfit(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::FBIG | Errno::INVAL | Errno::NAMETOOLONG | Errno::OVERFLOW)
    )
}

/// What was attempted when a [`StorageError`] happened.
#[derive(Debug, Clone)]
pub struct Context {
    /// Name of the storage.
    pub storage: Arc<str>,
    /// What it was asked to do.
    pub operation: Operation,
    /// The object concerned, where it is a single one.
    pub key: Option<Key>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage {}: {}", self.storage, self.operation)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, " {key}"))
    }
}

/// The operations of a [`Storage`](crate::Storage), as errors name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Making the storage ready.
    Prepare,
    /// Storing an object.
    Put,
    /// Making objects durable.
    Sync,
    /// Reading an object.
    Open,
    /// Asking for the size of an object.
    Head,
    /// Removing an object.
    Delete,
    /// Listing objects.
    List,
    /// Asking for the space left.
    Usage,
    /// Checking that the storage works.
    Probe,
}

impl Operation {
    /// Whether what the operation does not find is an object. Others miss what the storage consists of.
    fn finds_objects(self) -> bool {
        match self {
            Self::Open | Self::Head | Self::Delete | Self::Sync => true,
            Self::Prepare | Self::Put | Self::List | Self::Usage | Self::Probe => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare",
            Self::Put => "put",
            Self::Sync => "sync",
            Self::Open => "open",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Usage => "usage",
            Self::Probe => "probe",
        })
    }
}

#[cfg(test)]
mod tests;
