//! How a digest travels: whole at first, then what was added.

use nix_formats::StorePathHash;

use super::Digest;

/// Longest message that is taken: the digest of 16 million paths.
pub const MOST_BYTES: usize = 64 << 20;

/// First byte of a message.
const WHOLE: u8 = 1;
const ADDED: u8 = 2;

/// What a node answers to the question what it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum DigestMessage {
    /// Everything.
    Whole {
        /// Names the digest: another one begins when paths have gone, or too many have come.
        epoch: u64,
        /// How many additions are in it.
        position: u64,
        /// The digest.
        digest: Digest,
    },
    /// What came since.
    Added {
        /// To which digest.
        epoch: u64,
        /// How many additions it has with these.
        position: u64,
        /// The paths.
        paths: Vec<StorePathHash>,
    },
}

impl DigestMessage {
    /// Renders the message.
    pub fn encode(&self) -> Vec<u8> {
        let head = |kind: u8, epoch: u64, position: u64| {
            [&[kind][..], &epoch.to_be_bytes(), &position.to_be_bytes()].concat()
        };
        match self {
            Self::Whole { epoch, position, digest } => {
                let mut bytes = head(WHOLE, *epoch, *position);
                bytes.extend(digest.to_bytes());
                bytes
            }
            Self::Added { epoch, position, paths } => {
                let mut bytes = head(ADDED, *epoch, *position);
                paths.iter().for_each(|path| bytes.extend(path.as_bytes()));
                bytes
            }
        }
    }

    /// Reads a message; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (epoch, position) = (u64::from_be_bytes(*epoch), u64::from_be_bytes(*position));
        match *kind {
            WHOLE => Some(Self::Whole { epoch, position, digest: Digest::from_bytes(rest)? }),
            ADDED => {
                let (paths, rest) = rest.as_chunks::<{ StorePathHash::LEN }>();
                let paths = paths.iter().map(|path| StorePathHash::from_bytes(*path)).collect();
                rest.is_empty().then_some(Self::Added { epoch, position, paths })
            }
            _ => None,
        }
    }
}
