use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{KeyError, check_name, decode, split_name};

/// An Ed25519 signature and the name of the key that is said to have made it.
///
/// `Display` is `<key name>:<base 64>`, the value of a `Sig` line.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Signature {
    name: String,
    bytes: [u8; Self::LEN],
}

impl Signature {
    /// Bytes of an Ed25519 signature.
    pub const LEN: usize = 64;

    pub(super) fn new(name: &str, bytes: [u8; Self::LEN]) -> Self {
        Self { name: name.to_owned(), bytes }
    }

    /// Reads `<key name>:<base 64 of 64 bytes>`.
    ///
    /// # Errors
    ///
    /// See [`KeyError`]. Whether the signature is right, only [`PublicKey::verify`](super::PublicKey::verify) tells.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bare) = split_name(text)?;
        Self::from_base64(name, bare)
    }

    /// Reads the base 64 of 64 bytes, as in `cSig` of the cachix API, and gives it a key name.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn from_base64(name: &str, bare: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self::new(name, *decode(bare)?))
    }

    /// The same signature under another key name. What is signed does not hold the name.
    ///
    /// # Errors
    ///
    /// If the name is not one.
    pub fn renamed(&self, name: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self::new(name, self.bytes))
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The raw signature.
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
