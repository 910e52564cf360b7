//! Keys of stored objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The longest key in bytes. The longest one of a binary cache, a build trace entry, needs about 480; S3 allows 1024 including the
/// prefix of a cache.
const MAX_KEY_LEN: usize = 512;
/// The longest component in bytes: `NAME_MAX` of all common file systems.
const MAX_COMPONENT_LEN: usize = 255;

/// The key of an object within a storage, such as `nar/<file hash>.nar.zst` or `<store hash>.narinfo`.
///
/// A key is relative and `/`-separated, at most 512 bytes of printable ASCII without spaces, each component 1 to 255
/// bytes. No component starts with a dot, which excludes `.` and `..` and the names that are reserved for the storage. Joined to a
/// directory, a key never leaves it.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// Why a text is not a [`Key`]. The text itself is left out, because a client may have sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// Empty, or longer than the 512 bytes allowed.
    #[error("a storage key has 1 to {MAX_KEY_LEN} bytes")]
    Length,
    /// A component is empty, longer than 255 bytes, or starts with a dot.
    #[error("a component of a storage key has 1 to {MAX_COMPONENT_LEN} bytes and does not start with a dot")]
    Component,
    /// The text is not printable ASCII.
    #[error("a storage key is printable ASCII without spaces")]
    Character,
    /// Not the name that the wanted kind of object has (see [`layout`](crate::layout)).
    #[error("not a valid {0}")]
    Name(&'static str),
}

impl Key {
    /// Parses a key.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        if text.is_empty() || text.len() > MAX_KEY_LEN {
            return Err(InvalidKey::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidKey::Character);
        }
        let valid = |component: &str| {
            !component.is_empty() && component.len() <= MAX_COMPONENT_LEN && !component.starts_with('.')
        };
        if !text.split('/').all(valid) {
            return Err(InvalidKey::Component);
        }
        Ok(Self(text.into()))
    }

    /// Creates a key from parts whose grammar makes it valid.
    pub(crate) fn from_valid_parts(text: String) -> Self {
        debug_assert!(Self::new(&text).is_ok(), "not a key: {text}");
        Self(text.into())
    }

    /// Creates the key of an object that is not part of the binary cache. Its name starts with a dot, so listings leave it out.
    pub(crate) fn reserved(name: &'static str) -> Self {
        debug_assert!(name.starts_with('.') && !name.contains('/'), "not a reserved name: {name}");
        Self(name.into())
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests;
