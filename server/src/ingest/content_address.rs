//! Whether a path is what its content address says.
//!
//! Nix accepts a content-addressed path without a signature, and checks it against the address. So one with a wrong address
//! is useless to everybody, and would be in the way of the right one.

use std::io::{self, Read};

use md5::Md5;
use nix_formats::nar::{Found, NarError, find_file};
use nix_formats::{ContentAddress, ContentAddressMethod, HashAlgorithm, NarHash, StorePath, StorePathHash};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::Ingest;
use super::description::PathDescription;
use crate::cache::{PushError, blocking};
use crate::chain::chain;

/// Most places in a NAR where the hash of its own path is replaced before it is hashed. Each takes eight bytes of memory.
const MOST_SELF_REFERENCES: usize = 1 << 20;
/// Bytes of a NAR that are read at once.
const PIECE: usize = 64 << 10;
/// Most of a content address that is repeated in an error.
const MOST_SHOWN: usize = 120;

/// Why a path does not have a content address. The texts are fit for the client.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("the content address `{address}` cannot be read")]
    Unknown {
        /// The text.
        address: String,
        /// What is wrong with it.
        source: nix_formats::ContentAddressError,
    },
    /// The path cannot have it.
    #[error("the content address `{address}` does not fit the path's references")]
    References {
        /// The text.
        address: String,
        /// What is wrong with them.
        source: nix_formats::ContentAddressError,
    },
    /// The path has another hash and name.
    #[error("the store path {path} does not follow from its content address `{address}`")]
    Path {
        /// The text.
        address: String,
        /// The path.
        path: String,
    },
    /// The contents have another hash.
    #[error("the contents do not have the hash of the content address `{0}`")]
    Contents(String),
    /// Only a single file can have it.
    #[error("the content address `{0}` is that of a single file, and the NAR holds none")]
    NoFile(String),
}

/// What is known of a content address before the NAR is read.
pub enum Examined {
    /// It is right.
    Right,
    /// The NAR has to be read.
    InContents(Proof),
    /// Whether it is right cannot be found out here.
    Unprovable,
}

/// What the contents of a NAR have to be.
pub struct Proof {
    address: ContentAddress,
    text: String,
    /// The hash of the path itself, where the NAR may hold it.
    itself: Option<StorePathHash>,
}

/// The parts of a path that a content address is about.
pub struct Subject<'a> {
    /// The path.
    pub path: &'a StorePath,
    /// What it refers to, itself among them if so.
    pub references: &'a [StorePath],
    /// SHA-256 of its NAR.
    pub nar_hash: &'a NarHash,
}

impl Subject<'_> {
    /// Compares the path, and what is known of its contents, with a content address.
    pub fn examine(&self, text: &str) -> Result<Examined, AddressError> {
        let shown: String = text.chars().take(MOST_SHOWN).collect();
        let address = ContentAddress::parse(text)
            .map_err(|source| AddressError::Unknown { address: shown.clone(), source })?;
        let (others, refers_to_itself) = self.split_references();
        let hash = address
            .store_path_hash(self.path.name(), &others, refers_to_itself)
            .map_err(|source| AddressError::References { address: shown.clone(), source })?;
        if hash != *self.path.hash() {
            return Err(AddressError::Path { address: shown, path: self.path.to_full_path() });
        }
        let proof =
            |itself| Examined::InContents(Proof { address: address.clone(), text: shown.clone(), itself });
        Ok(match (address.method, address.algorithm) {
            // Git hashes trees in a form of its own.
            (ContentAddressMethod::Git, _) | (_, HashAlgorithm::Blake3) => Examined::Unprovable,
            (ContentAddressMethod::Nar, HashAlgorithm::Sha256) if refers_to_itself => {
                proof(Some(*self.path.hash()))
            }
            (ContentAddressMethod::Nar, HashAlgorithm::Sha256) => {
                if address.hash != self.nar_hash.as_bytes() {
                    return Err(AddressError::Contents(shown));
                }
                Examined::Right
            }
            _ => proof(None),
        })
    }

    /// The content address that clients of Cachix do not send: that of a path which follows from its name, its references
    /// and its NAR, as sources and most fixed outputs do.
    pub fn derive(&self) -> Option<String> {
        let (others, refers_to_itself) = self.split_references();
        if refers_to_itself {
            return None;
        }
        let address = ContentAddress::of_nar(self.nar_hash);
        let hash = address.store_path_hash(self.path.name(), &others, false).ok()?;
        (hash == *self.path.hash()).then(|| address.to_string())
    }

    fn split_references(&self) -> (Vec<&StorePath>, bool) {
        let others: Vec<_> = self.references.iter().filter(|reference| *reference != self.path).collect();
        let refers_to_itself = others.len() < self.references.len();
        (others, refers_to_itself)
    }
}

impl Proof {
    /// Reads the NAR and compares it. `None` if it cannot be found out. Blocks.
    pub fn is_met_by(&self, nar: impl Read) -> io::Result<Option<Result<(), AddressError>>> {
        let found = match self.address.method {
            ContentAddressMethod::Nar => match self.itself {
                None => Some(hash_all(nar, Hasher::new(self.address.algorithm))?),
                Some(itself) => hash_without(nar, &itself)?,
            },
            _ => match find_file(nar, &[""; 0]) {
                Ok(Found::File { reader, .. }) => {
                    Some(hash_all(reader, Hasher::new(self.address.algorithm))?)
                }
                Ok(_) => return Ok(Some(Err(AddressError::NoFile(self.text.clone())))),
                Err(NarError::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            },
        };
        Ok(found.map(|found| {
            if found == self.address.hash { Ok(()) } else { Err(AddressError::Contents(self.text.clone())) }
        }))
    }
}

impl Ingest {
    /// The same description with the content address that the path is published under: the announced one if the NAR that
    /// `open` reads has it, one that follows from the rest if none was announced, and none if it cannot be checked.
    pub(super) async fn with_content_address(
        &self,
        mut description: PathDescription,
        open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    ) -> Result<PathDescription, PushError> {
        let subject = description.subject();
        let Some(text) = &description.ca else {
            description.ca = subject.derive();
            return Ok(description);
        };
        let is_right = match subject.examine(text)? {
            Examined::Right => true,
            Examined::Unprovable => false,
            Examined::InContents(proof) => {
                let _slot = self.uploads.digest_slots().acquire().await.map_err(|_| PushError::Internal)?;
                match blocking(move || proof.is_met_by(open()?)).await?? {
                    Some(compared) => {
                        compared?;
                        true
                    }
                    None => false,
                }
            }
        };
        if !is_right {
            tracing::debug!(path = %description.path, "its content address cannot be checked and is left out");
            description.ca = None;
        }
        Ok(description)
    }
}

impl PathDescription {
    /// What a content address would be about.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { path: &self.path, references: &self.references, nar_hash: &self.nar_hash }
    }
}

impl From<AddressError> for PushError {
    fn from(error: AddressError) -> Self {
        Self::Invalid(chain(&error))
    }
}

enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher for what [`Subject::examine`] asks for, which is never BLAKE3.
    fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Md5 => Self::Md5(Md5::new()),
            HashAlgorithm::Sha1 => Self::Sha1(Sha1::new()),
            HashAlgorithm::Sha256 | HashAlgorithm::Blake3 => Self::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

fn hash_all(mut bytes: impl Read, mut hasher: Hasher) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    loop {
        match bytes.read(&mut piece) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `HashModuloSink` of Nix: SHA-256 of the bytes with zeros in place of every `hash`, followed by where those are. `None` if
/// there are too many.
fn hash_without(mut bytes: impl Read, hash: &StorePathHash) -> io::Result<Option<Vec<u8>>> {
    let hash = hash.to_string();
    let hash = hash.as_bytes();
    let mut hasher = Sha256::new();
    let mut places: Vec<u64> = Vec::new();
    // Bytes from `begin` of the stream on that are not hashed yet, as a hash may begin in them.
    let (mut held, mut begin): (Vec<u8>, u64) = (Vec::with_capacity(PIECE + hash.len()), 0);
    loop {
        let before = held.len();
        held.resize(before + PIECE, 0);
        let read = match bytes.read(&mut held[before..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                held.truncate(before);
                continue;
            }
            read => read?,
        };
        held.truncate(before + read);
        let mut at = 0;
        while let Some(found) = held[at..].windows(hash.len()).position(|window| window == hash) {
            at += found;
            held[at..at + hash.len()].fill(0);
            places.push(begin + at as u64);
            at += hash.len();
            if places.len() > MOST_SELF_REFERENCES {
                return Ok(None);
            }
        }
        let settled = if read == 0 { held.len() } else { held.len().saturating_sub(hash.len() - 1) };
        hasher.update(&held[..settled]);
        held.drain(..settled);
        begin += settled as u64;
        if read == 0 {
            break;
        }
    }
    for place in places {
        hasher.update(format!("|{place}"));
    }
    Ok(Some(hasher.finalize().to_vec()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of this size.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len()).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn a_path_is_hashed_without_its_own_hash_however_it_arrives() {
        let hash: StorePathHash = "54k1d2k1z09gfdvbn68nv914fb1ixhfl".parse().unwrap();
        let text = format!("a{hash}{hash}bc{hash}");
        let zeros = "\0".repeat(32);
        let expected = Sha256::digest(format!("a{zeros}{zeros}bc{zeros}|1|33|67")).to_vec();
        for piece in [1, 2, 31, 32, 33, 1000] {
            let found = hash_without(Slowly(text.as_bytes(), piece), &hash).unwrap();
            assert_eq!(found.as_ref(), Some(&expected), "{piece}");
        }
        let none = hash_without(&b"nothing"[..], &hash).unwrap();
        assert_eq!(none, Some(Sha256::digest("nothing").to_vec()));
    }
}
