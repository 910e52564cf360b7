use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::VerifyingKey;

use super::{KeyError, Signature, check_name, decode, split_name};

/// A named Ed25519 public key, as in `trusted-public-keys`.
///
/// `Display` is `<key name>:<base 64>`.
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// The length of an Ed25519 public key in bytes.
    pub const LEN: usize = 32;

    pub(super) fn new(name: &str, key: VerifyingKey) -> Self {
        Self { name: name.to_owned(), key }
    }

    /// Parses `<key name>:<base 64 of 32 bytes>`.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bare) = split_name(text)?;
        Self::from_base64(name, bare)
    }

    /// Parses the base 64 of 32 bytes, as in `POST …/key` of the cachix API, and names the key.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn from_base64(name: &str, bare: &str) -> Result<Self, KeyError> {
        Self::from_bytes(name, &*decode(bare)?)
    }

    /// Wraps the raw key and names it.
    ///
    /// # Errors
    ///
    /// If the name is invalid, or the bytes are no usable key.
    pub fn from_bytes(name: &str, bytes: &[u8; Self::LEN]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::PublicKey)?;
        if key.is_weak() {
            return Err(KeyError::PublicKey);
        }
        Ok(Self::new(name, key))
    }

    /// Returns whether `signature` has the name of this key and is its signature over `fingerprint`.
    pub fn verify(&self, fingerprint: &str, signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        // Strict, because libsodium, which Nix uses, refuses points of small order: what is valid here is valid there.
        self.name == signature.name() && self.key.verify_strict(fingerprint.as_bytes(), &bytes).is_ok()
    }

    /// Returns the name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the raw key.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        self.key.as_bytes()
    }

    /// Returns the key in base 64 without its name.
    pub fn key_base64(&self) -> String {
        BASE64.encode(self.key.as_bytes())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.key_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
