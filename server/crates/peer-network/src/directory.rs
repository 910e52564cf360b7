//! The directory of the other nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::dht::Dht;
use crate::record::{AnnouncedCache, MEMBER_SHARDS, Members, Name, NodeDescription, NodePage};
use crate::{NodeId, Stamp, Timing};

/// The most records read at once.
const READS_AT_ONCE: usize = 8;

/// Another node.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Its own description.
    pub description: NodeDescription,
}

impl Peer {
    /// Returns the cache with this number.
    pub fn cache(&self, id: u32) -> Option<&AnnouncedCache> {
        self.description.caches.iter().find(|cache| cache.id == id)
    }
}

/// The known other nodes.
pub type Peers = HashMap<NodeId, Arc<Peer>>;

/// Keeps track of the other nodes.
pub struct Directory {
    dht: Arc<Dht>,
    own: NodeId,
    timing: Timing,
    peers: RwLock<Arc<Peers>>,
}

impl Directory {
    pub fn new(dht: Arc<Dht>, own: NodeId, timing: Timing) -> Self {
        Self { dht, own, timing, peers: RwLock::default() }
    }

    /// Returns the known nodes.
    pub fn peers(&self) -> Arc<Peers> {
        self.peers.read().clone()
    }

    /// Reads all records about nodes again and removes nodes whose announcement has expired.
    pub async fn refresh(&self) {
        let mut nodes: HashSet<NodeId> = self.peers().keys().copied().collect();
        for shard in 0..MEMBER_SHARDS {
            for members in self.dht.read::<Members>(&Name::Members(shard), &self.timing).await {
                nodes.extend(members.iter().map(|(node, _)| node));
            }
        }
        nodes.remove(&self.own);
        let deadline = Instant::now() + self.timing.refresh.max(std::time::Duration::from_secs(5));
        let read = stream::iter(nodes).map(|node| self.read(node, deadline)).buffer_unordered(READS_AT_ONCE);
        let found: Vec<Peer> = read.filter_map(std::future::ready).collect().await;
        self.replace(|peers| {
            found.into_iter().for_each(|peer| enter(peers, peer));
            let now = Stamp::now();
            peers.retain(|_, peer| peer.description.said.is_fresh(now, self.timing.node_max_age));
        });
    }

    /// Finds a node in memory or, before the deadline, in the network.
    pub async fn find(&self, node: NodeId, deadline: Instant) -> Option<Arc<Peer>> {
        if let Some(peer) = self.peers().get(&node) {
            return Some(peer.clone());
        }
        let peer = self.read(node, deadline).await?;
        self.replace(|peers| enter(peers, peer));
        self.peers().get(&node).cloned()
    }

    async fn read(&self, node: NodeId, deadline: Instant) -> Option<Peer> {
        let first = self.page(node, 0, deadline).await?;
        let mut description = first.description?;
        for number in 1..first.pages {
            // A page that is being written has the caches of the previous or the next version.
            let page = self.page(node, number, deadline).await.and_then(|page| page.description);
            description.caches.extend(page.into_iter().flat_map(|page| page.caches));
        }
        Some(Peer { id: node, description })
    }

    /// Reads a page. With two keys of the network there may be two versions; the newer one counts.
    async fn page(&self, node: NodeId, number: u8, deadline: Instant) -> Option<NodePage> {
        let name = Name::Node(node, number);
        let pages = self.dht.read_soon::<NodePage>(&name, &self.timing, self.timing.grace, deadline).await;
        let said = |page: &NodePage| page.description.as_ref().map(|description| description.said);
        pages.into_iter().max_by_key(said).filter(|page| page.description.is_some())
    }

    fn replace(&self, change: impl FnOnce(&mut Peers)) {
        let mut peers = self.peers.write();
        let mut changed = Peers::clone(&peers);
        change(&mut changed);
        *peers = Arc::new(changed);
    }
}

/// Adds a node unless a newer description of it is known.
fn enter(peers: &mut Peers, peer: Peer) {
    match peers.get(&peer.id) {
        Some(known) if known.description.said > peer.description.said => {}
        _ => {
            peers.insert(peer.id, Arc::new(peer));
        }
    }
}
