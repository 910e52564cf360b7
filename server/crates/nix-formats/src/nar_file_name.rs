//! The names of NAR files in a binary cache.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Compression, FileHash};

/// `<file hash>.nar[.<extension>]`: the name of a NAR file below `nar/` in a binary cache.
///
/// `Display` writes the hash in base 32. Clients that name the hash in hex mean the same file.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NarFileName {
    /// Hash of the file under this name.
    pub file_hash: FileHash,
    /// How the file is compressed.
    pub compression: Compression,
}

/// A text is not the name of a NAR file.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a NAR file is named <file hash in base 32 or hex>.nar[.xz|.zst|.bz2|.gz|.br]")]
pub struct ParseNarFileNameError;

impl NarFileName {
    /// Reads a name whose hash is bare base 32 or bare hex.
    ///
    /// # Errors
    ///
    /// If it is anything else; a directory in front counts as that.
    pub fn parse(name: &str) -> Result<Self, ParseNarFileNameError> {
        let (hash, rest) = name.split_once('.').ok_or(ParseNarFileNameError)?;
        // A prefix or base 64 would make more names for one file, and base 64 has slashes.
        if !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ParseNarFileNameError);
        }
        let extension = rest.strip_prefix("nar").ok_or(ParseNarFileNameError)?;
        Ok(Self {
            file_hash: FileHash::parse(hash).map_err(|_| ParseNarFileNameError)?,
            compression: Compression::from_extension(extension).ok_or(ParseNarFileNameError)?,
        })
    }
}

impl FromStr for NarFileName {
    type Err = ParseNarFileNameError;

    fn from_str(name: &str) -> Result<Self, ParseNarFileNameError> {
        Self::parse(name)
    }
}

impl fmt::Display for NarFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.nar{}", self.file_hash, self.compression.extension())
    }
}
