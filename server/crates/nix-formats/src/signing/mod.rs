//! Signatures over store paths: Ed25519 over a fingerprint, as Nix makes and checks them (protocol reference 10.1 and 10.2).
//!
//! Keys and signatures are written `<key name>:<base 64>`. The name only tells which key to try.

#[cfg(test)]
mod tests;

mod fingerprint;
mod public_key;
mod signature;
mod signing_key;

pub use fingerprint::fingerprint;
pub use public_key::PublicKey;
pub use signature::Signature;
pub use signing_key::SigningKey;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a text is not a key or a signature. No variant holds a part of the text, which may be secret.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum KeyError {
    /// No `:` between name and base 64.
    #[error("has no `:` between a name and base 64")]
    NoName,
    /// The name is empty or has a colon, whitespace or a control character.
    #[error("a key name must not be empty nor have colons, whitespace or control characters")]
    Name,
    /// What follows the name is not padded base 64.
    #[error("not padded base 64")]
    Base64,
    /// The base 64 encodes another number of bytes.
    #[error("expected {expected} bytes of base 64, found {actual}")]
    Length {
        /// The length of this kind of key or signature in bytes.
        expected: usize,
        /// The actual number of bytes.
        actual: usize,
    },
    /// The 32 bytes are no point on the curve, or a weak one for which anybody can forge signatures.
    #[error("not a usable Ed25519 public key")]
    PublicKey,
    /// The second half of a secret key is not the public key of the first half.
    #[error("the two halves of the secret key do not belong together")]
    Halves,
    /// The operating system returned no random bytes for a new key.
    #[error("the operating system returned no random bytes")]
    Random,
}

/// Names end up in narinfo lines and in space-separated lists of `nix.conf`.
fn check_name(name: &str) -> Result<(), KeyError> {
    let forbidden = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.contains(forbidden) {
        return Err(KeyError::Name);
    }
    Ok(())
}

/// Splits `<key name>:<base 64>`.
fn split_name(text: &str) -> Result<(&str, &str), KeyError> {
    text.split_once(':').ok_or(KeyError::NoName)
}

/// Decodes exactly `N` bytes. They are wiped when dropped, because they may be a secret key.
fn decode<const N: usize>(bare: &str) -> Result<Zeroizing<[u8; N]>, KeyError> {
    let bytes = Zeroizing::new(BASE64.decode(bare).map_err(|_| KeyError::Base64)?);
    let array =
        bytes.as_slice().try_into().map_err(|_| KeyError::Length { expected: N, actual: bytes.len() })?;
    Ok(Zeroizing::new(array))
}
