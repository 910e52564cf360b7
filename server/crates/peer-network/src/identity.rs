//! The identity of a node: an Ed25519 key that never leaves its state directory.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The context of signatures with this key, so that they are valid for nothing else.
const CONTEXT: &[u8] = b"cache-server node record v1\0";

/// The id of a node: the beginning of the SHA-256 of its public key.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId([u8; Self::LEN]);

/// A text is not the 32 hexadecimal digits of a node id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a node id is {} hexadecimal digits", NodeId::LEN * 2)]
pub struct NodeIdError;

impl NodeId {
    /// The length of an id in bytes, long enough that finding a key with the id of another node is infeasible.
    pub const LEN: usize = 16;

    /// Returns the id of the node with this public key.
    pub fn of_key(public_key: &[u8; 32]) -> Self {
        let digest = Sha256::digest(public_key);
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(&digest[..Self::LEN]);
        Self(bytes)
    }

    /// Takes the raw id.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the raw id.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let digits = text.as_bytes();
        if digits.len() != Self::LEN * 2 {
            return Err(NodeIdError);
        }
        let mut bytes = [0; Self::LEN];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| match digit {
                b'0'..=b'9' => Ok(digit - b'0'),
                b'a'..=b'f' => Ok(digit - b'a' + 10),
                _ => Err(NodeIdError),
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("cannot read or write the node key file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system reported.
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error("the node key file {} does not hold a key of 32 bytes: remove it to give the node a new key", .0.display())]
    Malformed(PathBuf),
    /// The operating system returned no random bytes.
    #[error("cannot generate a node key")]
    Random(#[from] getrandom::Error),
}

/// The key of a node.
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// Generates a new key.
    ///
    /// # Errors
    ///
    /// If the operating system returns no random bytes.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        Ok(Self { key: SigningKey::from_bytes(&seed) })
    }

    /// Loads the key from the file, or generates one and writes the file if it does not exist.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`].
    pub fn load_or_generate(path: &Path) -> Result<Self, IdentityError> {
        let failed = |source| IdentityError::File { path: path.to_owned(), source };
        match std::fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => {
                let seed: &[u8; 32] =
                    bytes.as_slice().try_into().map_err(|_| IdentityError::Malformed(path.to_owned()))?;
                Ok(Self { key: SigningKey::from_bytes(seed) })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Self::generate()?;
                private_file::write(path, identity.key.as_bytes()).map_err(failed)?;
                Ok(identity)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Returns the id of the node.
    pub fn id(&self) -> NodeId {
        NodeId::of_key(&self.public_key())
    }

    /// Returns the public half of the key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs part of a node record.
    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(&[CONTEXT, text].concat()).to_bytes()
    }
}

/// Returns whether the node with this public key signed that part of its record.
pub(crate) fn is_signed_by(public_key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key).is_ok_and(|key| {
        key.verify_strict(&[CONTEXT, text].concat(), &Signature::from_bytes(signature)).is_ok()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_stays_the_same_across_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let first = Identity::load_or_generate(&path).unwrap();
        let again = Identity::load_or_generate(&path).unwrap();
        assert_eq!(first.id(), again.id());
        assert_ne!(first.id(), Identity::generate().unwrap().id());
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(Identity::load_or_generate(&path), Err(IdentityError::Malformed(_))));
    }

    #[test]
    fn an_id_comes_back_from_its_text() {
        let id = Identity::generate().unwrap().id();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("".parse::<NodeId>(), Err(NodeIdError));
        assert_eq!(format!("{}g", &id.to_string()[1..]).parse::<NodeId>(), Err(NodeIdError));
    }

    #[test]
    fn only_the_signed_text_verifies() {
        let (ours, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let signature = ours.sign(b"text");
        assert!(is_signed_by(&ours.public_key(), b"text", &signature));
        assert!(!is_signed_by(&ours.public_key(), b"texts", &signature));
        assert!(!is_signed_by(&other.public_key(), b"text", &signature));
    }
}
