//! The hash part of a store path.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::StorePathError;
use crate::nix32;

/// The 160-bit hash at the beginning of a store path's base name: the key of a path in a binary cache.
///
/// Text and JSON form are 32 base-32 characters. `Ord` is by bytes, as a database compares them, which is *not* the order
/// of the texts; [`StorePath`](crate::StorePath) sorts by text.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StorePathHash([u8; Self::LEN]);

impl StorePathHash {
    /// The length of the hash in bytes.
    pub const LEN: usize = 20;

    /// The length of the text form in characters.
    pub const TEXT_LEN: usize = nix32::encoded_len(Self::LEN);

    /// Wraps the raw hash.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the raw hash.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Compares the text forms without rendering them: the text is the bytes as a little-endian number, and 160 bits
    /// fill 32 digits without padding.
    pub fn cmp_text(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl FromStr for StorePathHash {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let mut bytes = [0; Self::LEN];
        nix32::decode_into(text, &mut bytes).map_err(|_| StorePathError::Hash)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for StorePathHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&nix32::encode(&self.0))
    }
}

impl fmt::Debug for StorePathHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePathHash({self})")
    }
}

impl Serialize for StorePathHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StorePathHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Parses the borrowed text without a copy: a bulk query has 100,000 of them.
struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = StorePathHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store path hash of 32 characters")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StorePathHash, E> {
        text.parse().map_err(E::custom)
    }
}
