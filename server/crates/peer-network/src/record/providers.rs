//! `p:<store hash>`: the caches that have a store path.

use super::codec::Reader;
use super::{LIMIT, Name, Record};
use crate::{NodeId, Stamp, Timing};

/// The bytes of an entry: node, cache and time.
const ENTRY: usize = NodeId::LEN + 4 + 4;

/// A cache that has the path.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    /// The node.
    pub node: NodeId,
    /// The number of the cache in the description of the node.
    pub cache: u32,
}

/// The caches that have a store path, and when each last announced it. A node writes only its own entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Providers(Vec<(Holder, Stamp)>);

impl Providers {
    /// The most caches in one record. More are of no use, since a reader needs only one.
    pub const MOST: usize = LIMIT / ENTRY;

    /// Adds a cache.
    pub fn set(&mut self, holder: Holder, said: Stamp) {
        self.remove(&holder);
        self.0.push((holder, said));
        self.sort();
    }

    /// Removes a cache.
    pub fn remove(&mut self, holder: &Holder) {
        self.0.retain(|(other, _)| other != holder);
    }

    /// Returns when a cache last announced the path.
    pub fn find(&self, holder: &Holder) -> Option<Stamp> {
        self.0.iter().find(|(other, _)| other == holder).map(|(_, said)| *said)
    }

    /// Returns the caches, the latest announcement first.
    pub fn iter(&self) -> impl Iterator<Item = (Holder, Stamp)> {
        self.0.iter().copied()
    }

    fn sort(&mut self) {
        self.0.sort_by_key(|(holder, said)| (std::cmp::Reverse(*said), *holder));
    }
}

impl Record for Providers {
    fn decode(_: &Name, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut providers = Self::default();
        while !reader.is_empty() {
            let holder = Holder { node: reader.node()?, cache: reader.u32()? };
            providers.0.push((holder, reader.stamp()?));
        }
        providers.sort();
        Some(providers)
    }

    fn encode(&self) -> Vec<u8> {
        let entry = |(holder, said): &(Holder, Stamp)| {
            [&holder.node.as_bytes()[..], &holder.cache.to_be_bytes(), &said.0.to_be_bytes()].concat()
        };
        self.0.iter().take(Self::MOST).flat_map(entry).collect()
    }

    fn merge(&mut self, other: Self) {
        for (holder, time) in other.0 {
            if self.find(&holder).is_none_or(|known| known < time) {
                self.set(holder, time);
            }
        }
    }

    fn prune(&mut self, now: Stamp, timing: &Timing) {
        self.0.retain(|(_, said)| said.is_fresh(now, timing.provider_max_age));
    }
}
