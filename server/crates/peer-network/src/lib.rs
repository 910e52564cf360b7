//! Peer discovery: the nodes of a network find each other, and the store paths that each of them holds, through a DHT.
//!
//! [`Network`] is a running node of such a network. It announces the public caches of this node and their store paths, and
//! finds the nodes that hold a path. Everything is stored in [records](record) that only holders of the [`NetworkKey`] can write
//! or read. Results are hints, never proof: the caller checks signatures and hashes.
//!
//! This crate knows neither HTTP nor the catalog nor the structure of a cache, and its API exposes no types of the DHT library.

mod announce;
mod announced_peers;
mod dht;
mod directory;
mod identity;
mod inspect;
pub mod inventory;
mod network;
mod network_key;
mod question;
pub mod record;
mod stamp;

#[cfg(test)]
mod tests;

pub use announce::{AnnounceStatus, HeldPath, LocalInventory};
pub use dht::{Bootstrap, DhtError, DhtStatus};
pub use directory::{Peer, Peers};
pub use identity::{Identity, IdentityError, NodeId, NodeIdError};
pub use inspect::Content;
pub use network::{Network, Provider, Settings, StartError, Timing};
pub use network_key::{Keyring, NetworkKey};
pub use question::Asker;
pub use stamp::Stamp;
