//! Under which salt a record is found.

use std::fmt;

use nix_formats::StorePathHash;

use super::NoteName;
use crate::NodeId;

/// The number of member records. Each has room for 48 nodes.
pub const MEMBER_SHARDS: u8 = 4;

/// The name of a record. `Display` is the salt.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Name {
    /// `n:<node id>`, with `:<page>` for all but the first: a page of the description of a node.
    Node(NodeId, u8),
    /// `m:<shard>`: nodes of the network.
    Members(u8),
    /// `p:<store hash>`: the caches that have a store path.
    Providers(StorePathHash),
    /// `x:<name>`: a note.
    Note(NoteName),
}

impl Name {
    /// Returns the member record that lists a node.
    pub fn members_of(node: &NodeId) -> Self {
        Self::Members(node.as_bytes()[0] % MEMBER_SHARDS)
    }

    /// Returns the salt.
    pub fn salt(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Parses a salt.
    pub fn parse(salt: &str) -> Option<Self> {
        match salt.split_once(':')? {
            ("n", rest) => match rest.split_once(':') {
                None => Some(Self::Node(rest.parse().ok()?, 0)),
                Some((id, page)) => Some(Self::Node(id.parse().ok()?, page.parse().ok()?)),
            },
            ("m", shard) => Some(Self::Members(shard.parse().ok()?)),
            ("p", hash) => Some(Self::Providers(hash.parse().ok()?)),
            ("x", name) => Some(Self::Note(name.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id, 0) => write!(f, "n:{id}"),
            Self::Node(id, page) => write!(f, "n:{id}:{page}"),
            Self::Members(shard) => write!(f, "m:{shard}"),
            Self::Providers(hash) => write!(f, "p:{hash}"),
            Self::Note(name) => write!(f, "x:{name}"),
        }
    }
}
