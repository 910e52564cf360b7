//! Store paths: `/nix/store/<hash>-<name>` (`src/libstore/path.cc` in Nix).

#[cfg(test)]
mod tests;

mod hash;

pub use hash::StorePathHash;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The only store directory that binary caches of this project serve.
pub const STORE_DIR: &str = "/nix/store";

/// The longest name that Nix allows, in bytes: with the hash, the dash and `.lock` it fits a file name.
const MAX_NAME_LEN: usize = 211;

/// Why a text is not a store path or a part of one.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum StorePathError {
    /// A full path does not begin with `/nix/store/`.
    #[error("a store path must begin with `{STORE_DIR}/`")]
    Directory,
    /// The hash is not 32 base-32 characters.
    #[error("a store path's hash must be 32 characters of 0-9 and a-z without e, o, t, u")]
    Hash,
    /// No `-` stands between hash and name.
    #[error("a store path must have a `-` after its hash")]
    Dash,
    /// The name is empty or longer than 211 bytes.
    #[error("a store path's name must have 1 to {MAX_NAME_LEN} characters, found {actual}")]
    NameLength {
        /// The actual length in bytes.
        actual: usize,
    },
    /// The name has a character outside `0-9 a-z A-Z + - . _ ? =`.
    #[error("a store path's name may have only letters, digits and the characters + - . _ ? =")]
    NameCharacter,
    /// The name's first dash-separated part is `.` or `..`.
    #[error("a store path's name must not be `.` or `..` nor begin with `.-` or `..-`")]
    NameDots,
}

/// A store path in [`STORE_DIR`]: its hash and its name, both valid.
///
/// `Ord` is that of Nix: by base name. `Display` is the base name; see [`to_full_path`](Self::to_full_path).
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct StorePath {
    hash: StorePathHash,
    name: String,
}

impl StorePath {
    /// Creates a path from its hash and its name.
    ///
    /// # Errors
    ///
    /// If Nix does not allow the name.
    pub fn new(hash: StorePathHash, name: &str) -> Result<Self, StorePathError> {
        check_name(name)?;
        Ok(Self { hash, name: name.to_owned() })
    }

    /// Parses `<hash>-<name>`.
    ///
    /// # Errors
    ///
    /// See [`StorePathError`].
    pub fn from_base_name(base_name: &str) -> Result<Self, StorePathError> {
        let (hash, rest) = base_name.split_at_checked(StorePathHash::TEXT_LEN).ok_or(StorePathError::Hash)?;
        let hash = hash.parse()?;
        let name = rest.strip_prefix('-').ok_or(StorePathError::Dash)?;
        Self::new(hash, name)
    }

    /// Parses `/nix/store/<hash>-<name>`. Paths inside of a store path are refused.
    ///
    /// # Errors
    ///
    /// See [`StorePathError`].
    pub fn from_full_path(path: &str) -> Result<Self, StorePathError> {
        let base_name = path
            .strip_prefix(STORE_DIR)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or(StorePathError::Directory)?;
        Self::from_base_name(base_name)
    }

    /// Returns the hash, which is the key of the path in a binary cache.
    pub const fn hash(&self) -> &StorePathHash {
        &self.hash
    }

    /// Returns the part after the hash and the dash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `<hash>-<name>`, as in the references of a narinfo.
    pub fn base_name(&self) -> String {
        self.to_string()
    }

    /// Returns `/nix/store/<hash>-<name>`, as in fingerprints.
    pub fn to_full_path(&self) -> String {
        format!("{STORE_DIR}/{self}")
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    /// Parses a base name.
    fn from_str(base_name: &str) -> Result<Self, StorePathError> {
        Self::from_base_name(base_name)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hash, self.name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePath({self})")
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.hash.cmp_text(&other.hash).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `checkName` of Nix. (Nix before 2.20 refuses every leading dot, on its own account.)
fn check_name(name: &str) -> Result<(), StorePathError> {
    if !(1..=MAX_NAME_LEN).contains(&name.len()) {
        return Err(StorePathError::NameLength { actual: name.len() });
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    if !name.bytes().all(allowed) {
        return Err(StorePathError::NameCharacter);
    }
    if matches!(name.split('-').next(), Some("." | "..")) {
        return Err(StorePathError::NameDots);
    }
    Ok(())
}
