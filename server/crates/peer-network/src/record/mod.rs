//! What nodes tell each other through the DHT: [`NodePage`], [`Members`], [`Providers`] and [`Note`], each under
//! its [`Name`].
//!
//! Records are BEP 44 items, so at most 1000 bytes with a salt of at most 64. Everything is binary, numbers are big-endian,
//! texts have their length in front.

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

/// Most bytes of a record before it is sealed.
pub const LIMIT: usize = 1000 - NetworkKey::OVERHEAD;

/// A kind of record.
pub trait Record: Clone + Default + PartialEq + Send + Sync {
    /// Reads a record; `None` if it is none that we understand.
    fn decode(name: &Name, bytes: &[u8]) -> Option<Self>;

    /// Renders it in at most [`LIMIT`] bytes. Where that takes leaving something out, the oldest goes.
    fn encode(&self) -> Vec<u8>;

    /// Takes over what is in another version: of each entry the newer one counts.
    fn merge(&mut self, other: Self);

    /// Drops what is too old to be believed.
    fn prune(&mut self, now: Stamp, timing: &Timing);
}
