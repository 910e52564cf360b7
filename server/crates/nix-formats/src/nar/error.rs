use std::io;

use thiserror::Error;

/// Why an input is not a NAR. Offsets are in bytes from its start and locate the faulty string unless noted otherwise.
#[derive(Debug, Error)]
pub enum NarError {
    /// The reader failed.
    #[error("cannot read the NAR")]
    Io(#[source] io::Error),
    /// The input does not begin like a NAR.
    #[error("not a NAR: it does not begin with `nix-archive-1`")]
    Magic,
    /// The NAR ends before it is complete.
    #[error("the NAR ends early, after {offset} bytes")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// More bytes follow the end of the NAR.
    #[error("the NAR is complete after {offset} bytes, but more follow")]
    TrailingData {
        /// Where it should end.
        offset: u64,
    },
    /// A string is none of those that the format allows there.
    #[error("expected {expected} at byte {offset} of the NAR")]
    Unexpected {
        /// What the format allows.
        expected: &'static str,
        /// Where.
        offset: u64,
    },
    /// The padding of a string is not zero.
    #[error("padding at byte {offset} of the NAR is not zero")]
    Padding {
        /// Where the padding begins.
        offset: u64,
    },
    /// A string is longer than a filesystem could hold.
    #[error("{what} at byte {offset} of the NAR has {len} bytes, more than {max}")]
    TooLong {
        /// The kind of string.
        what: &'static str,
        /// Where.
        offset: u64,
        /// Its length.
        len: u64,
        /// [`MAX_NAME_LEN`](super::MAX_NAME_LEN) or [`MAX_TARGET_LEN`](super::MAX_TARGET_LEN).
        max: usize,
    },
    /// An entry's name is empty, `.` or `..`, or has a slash or a NUL.
    #[error("the name at byte {offset} of the NAR is not a valid file name")]
    Name {
        /// Where.
        offset: u64,
    },
    /// An entry's name does not sort after that of the entry before it.
    #[error("the name at byte {offset} of the NAR is out of order or occurs twice")]
    Order {
        /// Where.
        offset: u64,
    },
    /// The target of a symbolic link is empty or has a NUL.
    #[error("the link target at byte {offset} of the NAR is not valid")]
    Target {
        /// Where.
        offset: u64,
    },
    /// Directories are nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("directories at byte {offset} of the NAR are nested too deep")]
    TooDeep {
        /// Where.
        offset: u64,
    },
}

impl From<NarError> for io::Error {
    /// For readers of contents: a cut-off NAR is an unexpected end, never a regular one.
    fn from(error: NarError) -> Self {
        let kind = match error {
            NarError::Io(error) => return error,
            NarError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
