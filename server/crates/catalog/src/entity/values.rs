//! How the values of the domain are stored. Hashes and UUIDs are raw bytes, sizes are signed 64-bit numbers, words are text.

use std::collections::BTreeMap;

use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::EntityName;
use uuid::Uuid;

use super::field::Stored;
use crate::{AgentId, CatalogError, CopyState, DeploymentId, DeploymentStatus, KeyOrigin, StorageJob};

/// A size or count that fits into a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(i64);

impl Count {
    pub const ZERO: Self = Self(0);

    /// Takes the number of `what`.
    ///
    /// # Errors
    ///
    /// [`CatalogError::TooLarge`] from 2^63 on.
    pub fn new(what: &'static str, value: u64) -> Result<Self, CatalogError> {
        i64::try_from(value).map(Self).map_err(|_| CatalogError::TooLarge { what, value })
    }

    /// Takes what a database returned as a sum or count over column `column` of `E`.
    pub fn of_sum<E: EntityName + Default>(column: &str, sum: i64) -> Result<u64, CatalogError> {
        u64::try_from(sum).map_err(|_| CatalogError::corrupt::<E>(column, sum))
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// Returns the number as the database holds it.
    pub const fn signed(self) -> i64 {
        self.0
    }

    /// Returns the sum of this and another number, which is at most the largest that fits.
    pub fn plus(self, other: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(other).unwrap_or(i64::MAX)))
    }
}

impl Stored for Count {
    type Raw = i64;

    fn to_raw(&self) -> i64 {
        self.0
    }

    fn from_raw(raw: i64) -> Result<Self, String> {
        if raw < 0 { Err(raw.to_string()) } else { Ok(Self(raw)) }
    }
}

impl Stored for u32 {
    type Raw = i64;

    fn to_raw(&self) -> i64 {
        i64::from(*self)
    }

    fn from_raw(raw: i64) -> Result<Self, String> {
        Self::try_from(raw).map_err(|_| raw.to_string())
    }
}

/// Stores types that are an array of bytes.
macro_rules! stored_as_bytes {
    ($($type:ty: $to:expr, $from:expr;)*) => {
        $(impl Stored for $type {
            type Raw = Vec<u8>;

            fn to_raw(&self) -> Vec<u8> {
                let to: fn(&Self) -> &[u8] = $to;
                to(self).to_vec()
            }

            fn from_raw(raw: Vec<u8>) -> Result<Self, String> {
                raw.as_slice().try_into().map($from).map_err(|_| format!("{} bytes", raw.len()))
            }
        })*
    };
}

stored_as_bytes! {
    StorePathHash: |hash| hash.as_bytes(), Self::from_bytes;
    FileHash: |hash| hash.as_bytes(), Self::from_bytes;
    NarHash: |hash| hash.as_bytes(), Self::from_bytes;
    Uuid: |id| id.as_bytes(), Self::from_bytes;
    AgentId: |id| id.0.as_bytes(), |bytes| Self(Uuid::from_bytes(bytes));
    DeploymentId: |id| id.0.as_bytes(), |bytes| Self(Uuid::from_bytes(bytes));
    [u8; 32]: |key| key, |bytes| bytes;
}

/// Stores types that are one of a few words.
macro_rules! stored_as_word {
    ($($type:ty: $to:expr, $from:expr;)*) => {
        $(impl Stored for $type {
            type Raw = String;

            fn to_raw(&self) -> String {
                $to(*self).to_owned()
            }

            fn from_raw(raw: String) -> Result<Self, String> {
                $from(&raw).ok_or_else(|| format!("{raw:?}"))
            }
        })*
    };
}

stored_as_word! {
    Compression: Self::narinfo_name, |word: &str| Self::from_narinfo_name(word).ok();
    DeploymentStatus: Self::as_str, Self::from_text;
    KeyOrigin: Self::as_str, Self::from_text;
    StorageJob: Self::as_str, Self::from_text;
    CopyState: Self::as_str, Self::from_text;
}

/// A JSON list of strings.
impl Stored for Vec<String> {
    type Raw = String;

    fn to_raw(&self) -> String {
        serde_json::Value::from(self.as_slice()).to_string()
    }

    fn from_raw(raw: String) -> Result<Self, String> {
        serde_json::from_str(&raw)
            .map_err(|error| format!("text that is not a JSON list of strings ({error})"))
    }
}

/// A JSON object of strings.
impl Stored for BTreeMap<String, String> {
    type Raw = String;

    fn to_raw(&self) -> String {
        let entries = self.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        serde_json::Value::Object(entries.collect()).to_string()
    }

    fn from_raw(raw: String) -> Result<Self, String> {
        serde_json::from_str(&raw)
            .map_err(|error| format!("text that is not a JSON object of strings ({error})"))
    }
}

/// Signatures (`name:base64`), one per line, without a final line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures(Vec<String>);

impl Signatures {
    /// # Errors
    ///
    /// [`CatalogError::MultilineSignature`] if one of them holds a line break.
    pub fn new(signatures: Vec<String>) -> Result<Self, CatalogError> {
        if signatures.iter().any(|signature| signature.contains(['\n', '\r'])) {
            return Err(CatalogError::MultilineSignature);
        }
        Ok(Self(signatures))
    }

    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

impl Stored for Signatures {
    type Raw = String;

    fn to_raw(&self) -> String {
        self.0.join("\n")
    }

    fn from_raw(raw: String) -> Result<Self, String> {
        Ok(Self(raw.lines().map(str::to_owned).collect()))
    }
}

/// The secret half of a signing key, encrypted. `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealed(..)")
    }
}

impl Stored for Sealed {
    type Raw = Vec<u8>;

    fn to_raw(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn from_raw(raw: Vec<u8>) -> Result<Self, String> {
        Ok(Self(raw))
    }
}

/// Returns the store path whose hash and name stand in two columns of `E`, the name in `column`.
pub(crate) fn store_path<E: EntityName + Default>(
    column: &str,
    hash: StorePathHash,
    name: &str,
) -> Result<StorePath, CatalogError> {
    StorePath::new(hash, name).map_err(|_| CatalogError::corrupt::<E>(column, format_args!("{name:?}")))
}
