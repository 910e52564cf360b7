//! Secrets: never printed, wiped when dropped, read from their file only when they are needed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// The text that replaces a secret wherever one would be shown.
pub(super) const MASK: &str = "***";

/// Largest file of a secret in bytes. Guards against the path of something else, such as a disk.
const MAX_SECRET: u64 = 64 * 1024;

/// A secret text. `Debug` and `Display` show `***`; the memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over `text`.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself. Name the use where you call this; never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Why a file has no secret. Names the file, never its content.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds nothing.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is not the text file that a secret is.
    #[error("{} is not a text file of at most {MAX_SECRET} bytes", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration file.
    Inline(Secret),
    /// The content of a file, without one trailing newline.
    File(PathBuf),
}

impl SecretSource {
    /// Reads the secret. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no secret.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => read_secret_file(path),
        }
    }
}

/// The fewest characters of a key that tokens are signed with. HS256 wants as many bytes as its hash has (RFC 7518 section 3.2).
pub const SHORTEST_KEY: usize = 32;

/// Where `server.key` comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeySource {
    /// `key`.
    Inline(Secret),
    /// `key-file`.
    File(PathBuf),
    /// Neither: the daemon makes one at its first start and keeps it in the state directory.
    #[default]
    Generated,
}

impl From<Option<SecretSource>> for KeySource {
    fn from(source: Option<SecretSource>) -> Self {
        match source {
            Some(SecretSource::Inline(secret)) => Self::Inline(secret),
            Some(SecretSource::File(file)) => Self::File(file),
            None => Self::Generated,
        }
    }
}

impl KeySource {
    /// The key that the file gives inline, if it is too short to sign tokens with. The files of the original system have
    /// such keys. All nodes of a network have the same one, and so far it is good enough.
    pub fn too_short(&self) -> Option<&Secret> {
        match self {
            Self::Inline(secret) if secret.expose().len() < SHORTEST_KEY => Some(secret),
            Self::Inline(_) | Self::File(_) | Self::Generated => None,
        }
    }

    /// The secret that the configuration gives, if it gives one.
    pub(super) fn given(&self) -> Option<SecretSource> {
        match self {
            Self::Inline(secret) => Some(SecretSource::Inline(secret.clone())),
            Self::File(path) => Some(SecretSource::File(path.clone())),
            Self::Generated => None,
        }
    }

    /// Reads the key; `None` when the daemon is to make its own. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no key.
    pub fn resolve(&self) -> Result<Option<Secret>, SecretError> {
        self.given().map(|source| source.resolve()).transpose()
    }
}

fn read_secret_file(path: &Path) -> Result<Secret, SecretError> {
    let path_buf = || path.to_path_buf();
    let failed = |source| SecretError::Read { path: path_buf(), source };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET as usize + 1));
    File::open(path).and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(SecretError::NotText { path: path_buf() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText { path: path_buf() })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretError::Empty { path: path_buf() });
    }
    Ok(Secret::new(text.to_owned()))
}

/// Whether every user of the machine may read the file. `false` if that is unknown.
pub(super) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
