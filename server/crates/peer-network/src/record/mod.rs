//! The records that nodes exchange through the DHT: [`NodePage`], [`Members`], [`Providers`] and [`Note`], each under its
//! [`Name`].
//!
//! Records are BEP 44 items of at most 1000 bytes with a salt of at most 64. They are binary, with big-endian numbers and
//! length-prefixed texts.

mod codec;
mod members;
mod name;
mod node;
mod note;
mod providers;

#[cfg(test)]
mod tests;

pub use members::Members;
pub use name::{MEMBER_SHARDS, Name};
pub use node::{AnnouncedCache, NodeDescription, NodePage};
pub use note::{Note, NoteName, NoteNameError};
pub use providers::{Holder, Providers};

use crate::network_key::NetworkKey;
use crate::{Stamp, Timing};

/// The most bytes of a record before it is sealed.
pub const LIMIT: usize = 1000 - NetworkKey::OVERHEAD;

/// A kind of record.
pub trait Record: Clone + Default + PartialEq + Send + Sync {
    /// Decodes a record; `None` if it is malformed or unknown.
    fn decode(name: &Name, bytes: &[u8]) -> Option<Self>;

    /// Encodes the record in at most [`LIMIT`] bytes. The oldest entries are dropped if it is too long.
    fn encode(&self) -> Vec<u8>;

    /// Merges another version: the newer version of each entry counts.
    fn merge(&mut self, other: Self);

    /// Drops expired entries.
    fn prune(&mut self, now: Stamp, timing: &Timing);
}
