//! `m:<shard>`: the nodes of the network.

use super::codec::Reader;
use super::{LIMIT, Name, Record};
use crate::{NodeId, Stamp, Timing};

/// The bytes of an entry: id and time.
const ENTRY: usize = NodeId::LEN + 4;

/// Nodes, and when each was last seen. A node writes only its own entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(Vec<(NodeId, Stamp)>);

impl Members {
    /// The most nodes in one record.
    pub const MOST: usize = LIMIT / ENTRY;

    /// Adds a node, or updates the time it was last seen.
    pub fn set(&mut self, node: NodeId, seen: Stamp) {
        self.remove(&node);
        self.0.push((node, seen));
        self.sort();
    }

    /// Removes a node.
    pub fn remove(&mut self, node: &NodeId) {
        self.0.retain(|(other, _)| other != node);
    }

    fn find(&self, node: &NodeId) -> Option<Stamp> {
        self.0.iter().find(|(other, _)| other == node).map(|(_, seen)| *seen)
    }

    /// Returns the nodes, the one seen last first.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, Stamp)> {
        self.0.iter().copied()
    }

    fn sort(&mut self) {
        self.0.sort_by_key(|(node, seen)| (std::cmp::Reverse(*seen), *node));
    }
}

impl Record for Members {
    fn decode(_: &Name, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut members = Self::default();
        while !reader.is_empty() {
            members.0.push((reader.node()?, reader.stamp()?));
        }
        members.sort();
        Some(members)
    }

    fn encode(&self) -> Vec<u8> {
        let entry = |(node, seen): &(NodeId, Stamp)| [&node.as_bytes()[..], &seen.0.to_be_bytes()].concat();
        self.0.iter().take(Self::MOST).flat_map(entry).collect()
    }

    fn merge(&mut self, other: Self) {
        for (node, time) in other.0 {
            if self.find(&node).is_none_or(|known| known < time) {
                self.set(node, time);
            }
        }
    }

    fn prune(&mut self, now: Stamp, timing: &Timing) {
        self.0.retain(|(_, seen)| seen.is_fresh(now, timing.node_max_age));
    }
}
