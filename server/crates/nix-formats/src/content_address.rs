//! Content addresses: the `CA` line of a narinfo, and the store path that follows from one (`src/libstore/content-address.cc`
//! and `store-dir-config.cc` in Nix).

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{NarHash, STORE_DIR, StorePath, StorePathHash, nix32};

/// What of a store path its content address covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentAddressMethod {
    /// `text:`: the contents of its one file, which may have references.
    Text,
    /// `fixed:`: the contents of its one file.
    Flat,
    /// `fixed:r:`: the NAR.
    Nar,
    /// `fixed:git:`: the tree or blob as Git hashes it.
    Git,
}

/// The hash algorithms that Nix knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HashAlgorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// BLAKE3, which newer versions of Nix have as an experiment.
    Blake3,
}

impl HashAlgorithm {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512, Self::Blake3];

    /// Its name in Nix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// Bytes of a hash.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// Why a text is not a content address, or no store path follows from one.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ContentAddressError {
    /// It begins with something else than `fixed:` or `text:`.
    #[error("expected `fixed:`, `fixed:r:` or `text:`, a hash algorithm and a hash")]
    Form,
    /// The algorithm is unknown, or may not be used there.
    #[error("expected sha256, or behind `fixed:` also md5, sha1, sha512 or blake3")]
    Algorithm,
    /// What follows the algorithm is no hash of it.
    #[error("expected a hash in hex, base 32 or base 64 of the length of its algorithm")]
    Hash,
    /// Only a text, and a NAR hashed with SHA-256, may refer to other paths.
    #[error("a path with this kind of content address cannot have references")]
    References,
    /// A text cannot hold the hash of its own path.
    #[error("a text cannot refer to itself")]
    SelfReference,
}

/// The content address of a store path. `Display` writes it as Nix does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentAddress {
    /// What is hashed.
    pub method: ContentAddressMethod,
    /// How.
    pub algorithm: HashAlgorithm,
    /// The hash.
    pub hash: Vec<u8>,
}

impl ContentAddress {
    /// The content address of a path whose NAR, which does not hold the path's own hash, has this hash.
    pub fn of_nar(hash: &NarHash) -> Self {
        let hash = hash.as_bytes().to_vec();
        Self { method: ContentAddressMethod::Nar, algorithm: HashAlgorithm::Sha256, hash }
    }

    /// Reads the value of a `CA` line.
    ///
    /// # Errors
    ///
    /// See [`ContentAddressError`].
    pub fn parse(text: &str) -> Result<Self, ContentAddressError> {
        let (method, rest) = if let Some(rest) = text.strip_prefix("text:") {
            (ContentAddressMethod::Text, rest)
        } else {
            let rest = text.strip_prefix("fixed:").ok_or(ContentAddressError::Form)?;
            match (rest.strip_prefix("r:"), rest.strip_prefix("git:")) {
                (Some(rest), _) => (ContentAddressMethod::Nar, rest),
                (_, Some(rest)) => (ContentAddressMethod::Git, rest),
                _ => (ContentAddressMethod::Flat, rest),
            }
        };
        let (name, digits) = rest.split_once(':').ok_or(ContentAddressError::Form)?;
        let algorithm = HashAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        let algorithm = algorithm.ok_or(ContentAddressError::Algorithm)?;
        let is_allowed = match method {
            ContentAddressMethod::Text => algorithm == HashAlgorithm::Sha256,
            ContentAddressMethod::Git => matches!(algorithm, HashAlgorithm::Sha1 | HashAlgorithm::Sha256),
            ContentAddressMethod::Flat | ContentAddressMethod::Nar => true,
        };
        if !is_allowed {
            return Err(ContentAddressError::Algorithm);
        }
        let hash = decode(digits, algorithm.hash_len()).ok_or(ContentAddressError::Hash)?;
        Ok(Self { method, algorithm, hash })
    }

    /// The store path that a path of this name with this content address and these references has. `refers_to_itself` says
    /// whether it also refers to itself; `references` are the others, in any order.
    ///
    /// # Errors
    ///
    /// If such a path cannot have these references.
    pub fn store_path_hash(
        &self,
        name: &str,
        references: &[&StorePath],
        refers_to_itself: bool,
    ) -> Result<StorePathHash, ContentAddressError> {
        match (self.method, self.algorithm) {
            (ContentAddressMethod::Text, _) if refers_to_itself => Err(ContentAddressError::SelfReference),
            (ContentAddressMethod::Text, _) => {
                Ok(make(&type_with("text", references, false), &self.hash, name))
            }
            (ContentAddressMethod::Nar, HashAlgorithm::Sha256) => {
                Ok(make(&type_with("source", references, refers_to_itself), &self.hash, name))
            }
            _ if refers_to_itself || !references.is_empty() => Err(ContentAddressError::References),
            _ => {
                let prefix = self.prefix();
                let text = format!("fixed:out:{prefix}{}:{}:", self.algorithm.name(), to_hex(&self.hash));
                Ok(make("output:out", &Sha256::digest(text), name))
            }
        }
    }

    /// What stands before the algorithm, behind `fixed:`.
    const fn prefix(&self) -> &'static str {
        match self.method {
            ContentAddressMethod::Text | ContentAddressMethod::Flat => "",
            ContentAddressMethod::Nar => "r:",
            ContentAddressMethod::Git => "git:",
        }
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.method == ContentAddressMethod::Text { "text" } else { "fixed" };
        write!(f, "{kind}:{}{}:{}", self.prefix(), self.algorithm.name(), nix32::encode(&self.hash))
    }
}

/// `makeType` of Nix.
fn type_with(kind: &str, references: &[&StorePath], refers_to_itself: bool) -> String {
    let mut references = references.to_vec();
    references.sort_unstable();
    references.dedup();
    let mut text = kind.to_owned();
    for reference in references {
        text.push(':');
        text.push_str(&reference.to_full_path());
    }
    if refers_to_itself {
        text.push_str(":self");
    }
    text
}

/// `makeStorePath` of Nix, for a SHA-256 hash.
fn make(kind: &str, hash: &[u8], name: &str) -> StorePathHash {
    let digest = Sha256::digest(format!("{kind}:sha256:{}:{STORE_DIR}:{name}", to_hex(hash)));
    let mut folded = [0; StorePathHash::LEN];
    for (index, byte) in digest.iter().enumerate() {
        folded[index % StorePathHash::LEN] ^= byte;
    }
    StorePathHash::from_bytes(folded)
}

/// Reads a hash of `len` bytes in one of the three encodings, which their lengths tell apart.
fn decode(digits: &str, len: usize) -> Option<Vec<u8>> {
    if digits.len() == len * 2 {
        let pair = |pair: &[u8]| {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            u8::try_from(digit(0)? << 4 | digit(1)?).ok()
        };
        digits.as_bytes().chunks_exact(2).map(pair).collect()
    } else if digits.len() == nix32::encoded_len(len) {
        nix32::decode(digits, len).ok()
    } else {
        BASE64.decode(digits).ok().filter(|bytes| bytes.len() == len)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
