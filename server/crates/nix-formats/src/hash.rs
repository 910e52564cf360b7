//! The two SHA-256 hashes of a NAR. They are separate types, because a mix-up would go unnoticed until a client rejects a
//! download.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use thiserror::Error;

use crate::nix32;

const SHA256_LEN: usize = 32;
const HEX_LEN: usize = SHA256_LEN * 2;
const NIX32_LEN: usize = nix32::encoded_len(SHA256_LEN);
const BASE64_LEN: usize = SHA256_LEN.div_ceil(3) * 4;

/// Why a text is not a SHA-256 hash.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseHashError {
    /// The text (without its prefix) has the length of none of the three encodings.
    #[error("expected 64 hex, 52 base-32 or 44 base-64 characters of SHA-256, found {actual}")]
    Length {
        /// Length found, in bytes.
        actual: usize,
    },
    /// `sha256-` is not followed by base 64.
    #[error("expected 44 base-64 characters after `sha256-`")]
    Sri,
    /// 64 characters that are not all hex digits.
    #[error("not a hex number")]
    Hex,
    /// 52 characters that are not base 32.
    #[error("not a base-32 number")]
    Nix32(#[from] nix32::Nix32Error),
    /// 44 characters that are not padded base 64 of 32 bytes.
    #[error("not padded base 64 of 32 bytes")]
    Base64,
}

/// Parses the forms that `Hash::parseAny` in Nix accepts for SHA-256. The lengths tell the encodings apart.
fn parse_sha256(text: &str) -> Result<[u8; SHA256_LEN], ParseHashError> {
    if let Some(sri) = text.strip_prefix("sha256-") {
        return parse_base64(sri).map_err(|_| ParseHashError::Sri);
    }
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    match bare.len() {
        HEX_LEN => parse_hex(bare),
        NIX32_LEN => parse_nix32(bare),
        BASE64_LEN => parse_base64(bare),
        actual => Err(ParseHashError::Length { actual }),
    }
}

fn parse_hex(text: &str) -> Result<[u8; SHA256_LEN], ParseHashError> {
    let mut bytes = [0; SHA256_LEN];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(ParseHashError::Hex);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Ok(bytes)
}

fn parse_nix32(text: &str) -> Result<[u8; SHA256_LEN], ParseHashError> {
    let mut bytes = [0; SHA256_LEN];
    nix32::decode_into(text, &mut bytes)?;
    Ok(bytes)
}

fn parse_base64(text: &str) -> Result<[u8; SHA256_LEN], ParseHashError> {
    let bytes = BASE64.decode(text).map_err(|_| ParseHashError::Base64)?;
    bytes.try_into().map_err(|_| ParseHashError::Base64)
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(HEX_LEN), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

macro_rules! sha256_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// `Display` is the bare base-32 form, 52 characters. `Ord` is by bytes.
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; SHA256_LEN]);

        impl $name {
            /// Wraps a computed hash.
            pub const fn from_bytes(bytes: [u8; SHA256_LEN]) -> Self {
                Self(bytes)
            }

            /// Returns the raw hash.
            pub const fn as_bytes(&self) -> &[u8; SHA256_LEN] {
                &self.0
            }

            /// Parses hex (either case), base 32 or padded base 64, each bare or after `sha256:`, and the SRI form
            /// `sha256-<base 64>`.
            ///
            /// # Errors
            ///
            /// See [`ParseHashError`].
            pub fn parse(text: &str) -> Result<Self, ParseHashError> {
                parse_sha256(text).map(Self)
            }

            /// Returns `sha256:` and the base-32 form, as in narinfo and fingerprints.
            pub fn to_prefixed(&self) -> String {
                format!("sha256:{self}")
            }

            /// Returns 64 lowercase hex digits.
            pub fn to_hex(&self) -> String {
                to_hex(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, ParseHashError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&nix32::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

sha256_type! {
    /// SHA-256 of a NAR file as it is stored and sent, that is, compressed.
    FileHash
}

sha256_type! {
    /// SHA-256 of a NAR itself, uncompressed.
    NarHash
}
