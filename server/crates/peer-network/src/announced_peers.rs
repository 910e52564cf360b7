//! The peers that received the last announcement of everything, and hence store it.
//!
//! A node keeps the records of others in memory. When nodes leave, restart or join, records have too few copies long before they
//! are due to be announced again.

use std::collections::HashMap;

use crate::NodeId;
use crate::directory::Peers;

/// Everything is announced again when one in so many of the nodes has changed.
const TOLERATED: usize = 4;

/// The nodes that received the last announcement of everything, each with the number of its run.
#[derive(Debug, Default)]
pub struct AnnouncedPeers(HashMap<NodeId, u32>);

impl AnnouncedPeers {
    /// Returns whether too many nodes have joined, left or restarted since the last announcement. If so, remembers the current
    /// nodes: the caller announces everything to them.
    pub fn has_changed(&mut self, peers: &Peers) -> bool {
        let now: HashMap<NodeId, u32> = peers.iter().map(|(id, peer)| (*id, peer.description.run)).collect();
        let still_there = now.iter().filter(|(id, run)| self.0.get(*id) == Some(*run)).count();
        let is_many = |changed: usize, all: usize| changed > 0 && changed * TOLERATED >= all;
        let changed =
            is_many(now.len() - still_there, now.len()) || is_many(self.0.len() - still_there, self.0.len());
        if changed {
            self.0 = now;
        }
        changed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Stamp;
    use crate::directory::Peer;
    use crate::record::NodeDescription;

    fn peers(runs: &[u32]) -> Peers {
        let peer = |(number, run): (u8, &u32)| {
            let id = NodeId::from_bytes([number; NodeId::LEN]);
            let description = NodeDescription {
                url: "http://cache.example.org/".parse().unwrap(),
                load: 0,
                free: 0,
                inventory_version: 0,
                run: *run,
                said: Stamp::now(),
                caches: Vec::new(),
            };
            (id, Arc::new(Peer { id, description }))
        };
        (0..).zip(runs).map(peer).collect()
    }

    #[test]
    fn nothing_is_told_to_nobody_or_to_the_same_nodes_twice() {
        let mut announced_peers = AnnouncedPeers::default();
        assert!(!announced_peers.has_changed(&peers(&[])));
        assert!(announced_peers.has_changed(&peers(&[1])));
        assert!(!announced_peers.has_changed(&peers(&[1])));
        assert!(announced_peers.has_changed(&peers(&[2])));
        assert!(!announced_peers.has_changed(&peers(&[2])));
    }

    #[test]
    fn one_in_four_is_too_many() {
        let mut announced_peers = AnnouncedPeers::default();
        assert!(announced_peers.has_changed(&peers(&[1; 8])));
        assert!(!announced_peers.has_changed(&peers(&[2, 1, 1, 1, 1, 1, 1, 1])));
        assert!(announced_peers.has_changed(&peers(&[2, 2, 1, 1, 1, 1, 1, 1])));
        // Nodes that joined count like nodes that left.
        assert!(!announced_peers.has_changed(&peers(&[2, 2, 1, 1, 1, 1, 1])));
        assert!(announced_peers.has_changed(&peers(&[2, 2, 1, 1, 1, 1])));
        assert!(!announced_peers.has_changed(&peers(&[2, 2, 1, 1, 1, 1, 1])));
        assert!(announced_peers.has_changed(&peers(&[2, 2, 1, 1, 1, 1, 1, 1])));
    }
}
