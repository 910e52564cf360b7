use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::{KeyError, PublicKey, Signature, check_name, decode, split_name};

/// A named Ed25519 secret key. It is wiped from memory when dropped, and `Debug` shows its name only.
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// Generates a key from the random source of the operating system.
    ///
    /// # Errors
    ///
    /// If the name is invalid, or the operating system returns no random bytes.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; ed25519_dalek::SECRET_KEY_LENGTH]);
        getrandom::fill(&mut *seed).map_err(|_| KeyError::Random)?;
        Self::from_seed(name, &seed)
    }

    /// Creates the key of a 32-byte seed (the private key of RFC 8032).
    ///
    /// # Errors
    ///
    /// If the name is invalid.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: ed25519_dalek::SigningKey::from_bytes(seed) })
    }

    /// Parses the text of a Nix secret key file, `<key name>:<base 64 of 64 bytes>`. Whitespace around it is ignored.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bare) = split_name(text.trim())?;
        Self::from_base64(name, bare)
    }

    /// Parses the base 64 of seed and public key, as in `CACHIX_SIGNING_KEY`, and names the key.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn from_base64(name: &str, bare: &str) -> Result<Self, KeyError> {
        check_name(name)?;
        let bytes = decode(bare)?;
        let key = ed25519_dalek::SigningKey::from_keypair_bytes(&bytes).map_err(|_| KeyError::Halves)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Returns the secret text that [`parse`](Self::parse) accepts, without a line break. It is wiped when dropped.
    pub fn to_nix_string(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.key.to_keypair_bytes());
        // Large enough from the start: a String that grows leaves its old memory unwiped.
        let mut text = String::with_capacity(self.name.len() + 1 + bytes.len().div_ceil(3) * 4);
        text.push_str(&self.name);
        text.push(':');
        BASE64.encode_string(*bytes, &mut text);
        Zeroizing::new(text)
    }

    /// Signs a [`fingerprint`](super::fingerprint()). The result is deterministic.
    pub fn sign(&self, fingerprint: &str) -> Signature {
        Signature::new(&self.name, self.key.sign(fingerprint.as_bytes()).to_bytes())
    }

    /// Returns the public key of the same name.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::new(&self.name, self.key.verifying_key())
    }

    /// Returns the name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
    }
}
