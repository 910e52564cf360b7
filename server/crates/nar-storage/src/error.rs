//! Errors of storages.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use rustix::io::Errno;
use thiserror::Error;

use crate::Key;

/// A failed operation of a storage.
///
/// The text of every variant names the storage, the operation and, if there is one, the key. It includes the error of the
/// operating system, which is therefore no [`source`](std::error::Error::source): a storage's error is one line wherever it
/// is shown. The text is for logs and operators, not for clients.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The storage works and does not have the object.
    #[error("{context}: not found")]
    NotFound {
        /// What was attempted.
        context: Context,
    },
    /// The object has another size than the caller expects: it is damaged.
    #[error("{context}: the object is damaged: it has {actual} bytes instead of {expected}")]
    SizeMismatch {
        /// What was attempted.
        context: Context,
        /// The expected size in bytes.
        expected: u64,
        /// The actual size in bytes.
        actual: u64,
    },
    /// The requested range is outside of the object.
    #[error("{context}: bytes {}..{} are not within its {size} bytes", range.start, range.end)]
    InvalidRange {
        /// What was attempted.
        context: Context,
        /// The requested half-open range in bytes.
        range: Range<u64>,
        /// The size of the object in bytes.
        size: u64,
    },
    /// No space or quota is left.
    #[error("{context}: the storage is full")]
    Full {
        /// What was attempted.
        context: Context,
    },
    /// The file system denies access to the daemon.
    #[error("{context}: {cause}; check owner and mode of the storage's directory")]
    Denied {
        /// What was attempted.
        context: Context,
        /// What the operating system reported.
        cause: io::Error,
    },
    /// The whole storage is unavailable: not mounted, read-only, missing or failing.
    #[error("{context}: the storage is unavailable: {reason}")]
    Unavailable {
        /// What was attempted.
        context: Context,
        /// Why it is unavailable.
        reason: String,
    },
    /// No file system of this kind can store the object: it is too large, or its name is too long. The storage itself is fine.
    #[error("{context}: the file system does not accept the object: {cause}")]
    Unfit {
        /// What was attempted.
        context: Context,
        /// What the operating system reported.
        cause: io::Error,
    },
    /// The spooled file, which is on another disk, cannot be read. The storage itself is fine.
    #[error("{context}: cannot read the spooled file: {cause}")]
    Spool {
        /// What was attempted.
        context: Context,
        /// What the operating system reported.
        cause: io::Error,
    },
    /// Any other error.
    #[error("{context}: {cause}")]
    Io {
        /// What was attempted.
        context: Context,
        /// What the operating system reported.
        cause: io::Error,
    },
}

impl StorageError {
    /// Classifies an error of the operating system by its meaning for the storage.
    pub fn from_io(context: Context, cause: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match (cause.kind(), Errno::from_io_error(&cause)) {
            (Kind::NotFound, _) if context.operation.finds_objects() => Self::NotFound { context },
            (Kind::NotFound, _) => {
                let reason =
                    format!("one of its directories is missing ({cause}); is its file system mounted?");
                Self::Unavailable { context, reason }
            }
            (Kind::StorageFull | Kind::QuotaExceeded, _) => Self::Full { context },
            (Kind::PermissionDenied, _) => Self::Denied { context, cause },
            _ if is_unfit(&cause) => Self::Unfit { context, cause },
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
            ) => Self::Unavailable { context, reason: cause.to_string() },
            _ => Self::Io { context, cause },
        }
    }

    /// Classifies an error of writing to the spool of the storage called `storage`, which means the same as an error of a put.
    pub fn from_spool(storage: &str, cause: io::Error) -> Self {
        Self::from_io(Context { storage: storage.into(), operation: Operation::Put, key: None }, cause)
    }

    /// Returns the storage, operation and key.
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

    /// Returns whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Returns whether the object is missing or has the wrong size, so that it must not be advertised until it is pushed again.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::SizeMismatch { .. })
    }

    /// Returns whether the storage is full. Another one may have room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Returns whether no storage would accept the object, which is the fault of its sender.
    pub fn is_unfit(&self) -> bool {
        matches!(self, Self::Unfit { .. })
    }

    /// Returns whether the disk of the spool failed, not the storage.
    pub fn is_of_spool(&self) -> bool {
        matches!(self, Self::Spool { .. })
    }

    /// Returns whether the storage is unavailable. Whether its objects exist is unknown.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Denied { .. })
    }
}

/// Returns whether an error of the operating system concerns the request, such as a file that is too large or a name that is too
/// long, and not the disk.
pub fn is_unfit(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::FBIG | Errno::INVAL | Errno::NAMETOOLONG | Errno::OVERFLOW)
    )
}

/// The storage, operation and object of a [`StorageError`].
#[derive(Debug, Clone)]
pub struct Context {
    /// The name of the storage.
    pub storage: Arc<str>,
    /// The operation.
    pub operation: Operation,
    /// The object, if the operation concerns a single one.
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
    /// Preparing the storage.
    Prepare,
    /// Storing an object.
    Put,
    /// Making objects durable.
    Sync,
    /// Reading an object.
    Open,
    /// Reading the size of an object.
    Head,
    /// Deleting an object.
    Delete,
    /// Listing objects.
    List,
    /// Reading the free space.
    Usage,
    /// Checking that the storage works.
    Probe,
}

impl Operation {
    /// Returns whether the operation looks for an object. Other operations that find nothing miss a part of the storage.
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
