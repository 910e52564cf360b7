//! Who else has it: the nodes of a network find each other, and what each of them holds, through a DHT.
//!
//! [`Network`] is a running node of such a network. It tells the others which public caches there are here and which store
//! paths they hold, and asks who holds a path. All of it travels as [records](record) that only holders of the
//! [`NetworkKey`] can write or read. What is found is a hint and never proof of anything: whoever uses it checks signatures
//! and hashes.
//!
//! This crate does not know HTTP, the catalog or what a cache looks like inside, and nobody outside of it sees the DHT's
//! own types.

mod announce;
mod audience;
mod dht;
pub mod digest;
mod directory;
mod file;
mod identity;
mod inspect;
mod network;
mod network_key;
mod question;
pub mod record;
mod stamp;

#[cfg(test)]
mod tests;

pub use announce::{AnnounceStatus, HeldPath, Holdings};
pub use dht::{Bootstrap, DhtError, DhtStatus};
pub use directory::{Peer, Peers};
pub use identity::{Identity, IdentityError, NodeId, NodeIdError};
pub use inspect::Content;
pub use network::{Network, Provider, Settings, StartError, Timing};
pub use network_key::{Keyring, NetworkKey};
pub use question::Asker;
pub use stamp::Stamp;
