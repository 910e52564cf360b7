use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{KeyError, check_name, decode, split_name};

/// An Ed25519 signature and the name of the key that it claims.
///
/// `Display` is `<key name>:<base 64>`, the value of a `Sig` line.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Signature {
    name: String,
    bytes: [u8; Self::LEN],
}

impl Signature {
    /// The length of an Ed25519 signature in bytes.
    pub const LEN: usize = 64;

    pub(super) fn new(name: &str, bytes: [u8; Self::LEN]) -> Self {
        Self { name: name.to_owned(), bytes }
    }

    /// Parses `<key name>:<base 64 of 64 bytes>`.
    ///
    /// # Errors
    ///
    /// See [`KeyError`]. Only [`PublicKey::verify`](super::PublicKey::verify) checks the signature itself.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bare) = split_name(text)?;
        Self::from_base64(name, bare)
    }

    /// Parses the base 64 of 64 bytes, as in `cSig` of the cachix API, for a key of this name.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn from_base64(name: &str, bare: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self::new(name, *decode(bare)?))
    }

    /// Returns the same signature under another key name, which the fingerprint does not include.
    ///
    /// # Errors
    ///
    /// If the name is invalid.
    pub fn renamed(&self, name: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self::new(name, self.bytes))
    }

    /// Returns the name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the raw signature.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}
