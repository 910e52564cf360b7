//! Messages between peers about inventories: a whole filter at first, then additions.

use nix_formats::StorePathHash;

use super::InventoryFilter;

/// The longest accepted message in bytes: the filter of 16 million paths.
pub const MOST_BYTES: usize = 64 << 20;

/// The first byte of a message.
const WHOLE: u8 = 1;
const ADDED: u8 = 2;

/// The reply of a node to a request for its inventory.
#[derive(Clone, Debug, PartialEq)]
pub enum InventoryMessage {
    /// The whole filter.
    Whole {
        /// Identifies the filter: another epoch begins when it is rebuilt.
        epoch: u64,
        /// The number of additions in it.
        position: u64,
        /// The filter.
        filter: InventoryFilter,
    },
    /// The additions since the version of the peer.
    Added {
        /// The epoch of the filter.
        epoch: u64,
        /// The number of additions including these.
        position: u64,
        /// The paths.
        paths: Vec<StorePathHash>,
    },
}

impl InventoryMessage {
    /// Encodes the message.
    pub fn encode(&self) -> Vec<u8> {
        let head = |kind: u8, epoch: u64, position: u64| {
            [&[kind][..], &epoch.to_be_bytes(), &position.to_be_bytes()].concat()
        };
        match self {
            Self::Whole { epoch, position, filter } => {
                let mut bytes = head(WHOLE, *epoch, *position);
                bytes.extend(filter.to_bytes());
                bytes
            }
            Self::Added { epoch, position, paths } => {
                let mut bytes = head(ADDED, *epoch, *position);
                paths.iter().for_each(|path| bytes.extend(path.as_bytes()));
                bytes
            }
        }
    }

    /// Decodes a message; `None` if it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (epoch, position) = (u64::from_be_bytes(*epoch), u64::from_be_bytes(*position));
        match *kind {
            WHOLE => Some(Self::Whole { epoch, position, filter: InventoryFilter::from_bytes(rest)? }),
            ADDED => {
                let (paths, rest) = rest.as_chunks::<{ StorePathHash::LEN }>();
                let paths = paths.iter().map(|path| StorePathHash::from_bytes(*path)).collect();
                rest.is_empty().then_some(Self::Added { epoch, position, paths })
            }
            _ => None,
        }
    }
}
