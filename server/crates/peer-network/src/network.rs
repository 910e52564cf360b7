//! A running node of a network, which combines the parts of this crate.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix_formats::StorePathHash;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::announce::{AnnounceStatus, Announcer, HeldPath, LocalInventory};
use crate::announced_peers::AnnouncedPeers;
use crate::dht::{self, Bootstrap, Dht, DhtError, DhtSettings, DhtStatus, with_causes};
use crate::directory::{Directory, Peer, Peers};
use crate::record::{AnnouncedCache, Members, Name, NodePage, Providers};
use crate::{Identity, IdentityError, Keyring, NodeId, Stamp};

/// The pause after no other node was known.
const ALONE_PAUSE: Duration = Duration::from_millis(500);
/// The pauses between two refreshes of the peers, and between two announcements of this node, soon after its start.
pub(crate) const EARLY_REFRESH: Duration = Duration::from_secs(1);
const EARLY_ANNOUNCEMENT: Duration = Duration::from_secs(2);
/// Discovery is complete after so many refreshes of the peers, and after so long at the earliest.
const REFRESHES: u32 = 2;
const SHORTEST_DISCOVERY: Duration = Duration::from_secs(5);

/// Intervals of the background work and lifetimes of records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// How long after its start a node refreshes, announces itself and checks its records more often. Nodes that start together
    /// write their records before all of them know each other, so some records are stored where others do not find them.
    pub beginning: Duration,
    /// The interval between two checks of the connection to the network.
    pub keep: Duration,
    /// The interval between two refreshes of the peers.
    pub refresh: Duration,
    /// The interval between two announcements of this node.
    pub introduce: Duration,
    /// The age at which the last announcement of a node expires.
    pub node_max_age: Duration,
    /// The interval between two announcements of the same path.
    pub reannounce: Duration,
    /// The interval between two checks whether the records of announced paths are still there.
    pub verify: Duration,
    /// The age at which the announcement of a path expires.
    pub provider_max_age: Duration,
    /// The pause between two paths of a round over all paths.
    pub pace: Duration,
    /// How long a lookup waits for newer versions of a record that it found.
    pub grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beginning: Duration::from_secs(60),
            keep: Duration::from_secs(30),
            refresh: Duration::from_secs(20),
            introduce: Duration::from_secs(5 * 60),
            node_max_age: Duration::from_secs(15 * 60),
            reannounce: Duration::from_secs(8 * 60 * 60),
            verify: Duration::from_secs(5 * 60),
            provider_max_age: Duration::from_secs(24 * 60 * 60),
            pace: Duration::from_millis(2),
            grace: Duration::from_millis(15),
        }
    }
}

impl Timing {
    /// Returns `pause`, or a shorter one soon after the start.
    pub(crate) fn early(&self, started: Instant, pause: Duration, early: Duration) -> Duration {
        if started.elapsed() < self.beginning { pause.min(early) } else { pause }
    }
}

/// The settings of a node.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The address to listen on.
    pub bind: Ipv4Addr,
    /// The UDP port to listen on; 0 for any.
    pub port: u16,
    /// The public address of this node, if it is known.
    pub public_ip: Option<Ipv4Addr>,
    /// The hosts through which to join the network. Empty on the first node.
    pub bootstrap: Vec<Bootstrap>,
    /// The most records stored for others. Every node of a small network stores nearly all of them.
    pub max_records: usize,
    /// The directory for the key of the node and the list of known nodes.
    pub directory: &'a Path,
    /// Intervals and lifetimes.
    pub timing: Timing,
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node has no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The DHT cannot be prepared.
    #[error(transparent)]
    Dht(#[from] DhtError),
}

/// A cache of another node that claims to have a path.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The node.
    pub peer: Arc<Peer>,
    /// The cache.
    pub cache: AnnouncedCache,
}

/// A running node.
pub struct Network {
    identity: Identity,
    dht: Arc<Dht>,
    directory: Directory,
    announcer: Arc<Announcer>,
    inventory: Arc<dyn LocalInventory>,
    timing: Timing,
    changed: Notify,
    started: Instant,
    refreshes: AtomicU32,
    stop: CancellationToken,
}

impl Network {
    /// Starts to listen and to work in the background until [`Network::stop`]. While it cannot listen, [`Network::dht_problem`] says
    /// why, and it tries again.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(
        settings: Settings<'_>,
        keys: Keyring,
        inventory: Arc<dyn LocalInventory>,
    ) -> Result<Arc<Self>, StartError> {
        let timing = settings.timing;
        let identity = Identity::load_or_generate(&settings.directory.join("node.key"))?;
        let dht_settings = DhtSettings {
            bind: settings.bind,
            port: settings.port,
            public_ip: settings.public_ip,
            bootstrap: settings.bootstrap,
            max_records: settings.max_records,
            nodes_file: settings.directory.join("dht-nodes"),
        };
        let dht = Dht::open(dht_settings, keys).await?;
        let network = Arc::new(Self {
            directory: Directory::new(dht.clone(), identity.id(), timing),
            announcer: Arc::new(Announcer::new(dht.clone(), identity.id(), timing, inventory.clone())),
            identity,
            dht,
            inventory,
            timing,
            changed: Notify::new(),
            started: Instant::now(),
            refreshes: AtomicU32::new(0),
            stop: CancellationToken::new(),
        });
        network.start_tasks();
        Ok(network)
    }

    fn start_tasks(self: &Arc<Self>) {
        let mut has_failed = false;
        self.keep_running("DHT", move |network| {
            let has_failed = std::mem::replace(&mut has_failed, true);
            dht::keep(network.dht.clone(), network.timing, network.stop.clone(), has_failed)
        });
        self.keep_running("announcing paths", |network| network.announcer.clone().run(network.stop.clone()));
        self.keep_running("watching records of paths", |network| {
            network.announcer.clone().watch_records(network.stop.clone())
        });
        self.keep_running(
            "announcing this node",
            |network| async move { network.keep_announcing_node().await },
        );
        self.keep_running(
            "discovering nodes",
            |network| async move { network.keep_discovering_peers().await },
        );
    }

    /// Runs a task until the node stops, also if it panics now and then.
    fn keep_running<T, F>(self: &Arc<Self>, name: &'static str, mut start: F)
    where
        T: Future<Output = ()> + Send,
        F: FnMut(Arc<Self>) -> T + Send + 'static,
    {
        let network = self.clone();
        tokio::spawn(async move {
            supervised::keep_running(name, &network.stop, || start(network.clone())).await;
        });
    }

    async fn keep_announcing_node(&self) {
        while !self.stop.is_cancelled() {
            let pause = match self.announce_node().await {
                Ok(()) => self.early(self.timing.introduce, EARLY_ANNOUNCEMENT),
                Err(DhtError::Alone) => ALONE_PAUSE.min(self.timing.introduce),
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), "cannot announce this node");
                    self.timing.introduce / 4
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Announces this node to the network.
    async fn announce_node(&self) -> Result<(), DhtError> {
        let node = self.identity.id();
        let mut description = self.inventory.describe();
        description.said = Stamp::now();
        description.run = self.dht.run();
        for (number, page) in (0..=u8::MAX).zip(description.pages(&self.identity)) {
            let change = |there: &mut NodePage| {
                if *there != page {
                    *there = page.clone();
                }
            };
            self.dht.update(&Name::Node(node, number), &self.timing, change).await?;
        }
        let change = |members: &mut Members| members.set(node, description.said);
        self.dht.update(&Name::members_of(&node), &self.timing, change).await
    }

    async fn keep_discovering_peers(&self) {
        let mut announced_peers = AnnouncedPeers::default();
        let mut run = self.dht.run();
        loop {
            self.directory.refresh().await;
            self.refreshes.fetch_add(1, Ordering::Relaxed);
            let peers = self.directory.peers();
            let before = std::mem::replace(&mut run, self.dht.run());
            if announced_peers.has_changed(&peers) || run != before {
                tracing::debug!(nodes = peers.len(), "announcing everything again");
                self.changed.notify_one();
                self.announcer.announce_all_paths();
            }
            // Refresh more often until a peer is found.
            let pause = if peers.is_empty() { self.timing.refresh / 10 } else { self.timing.refresh };
            let pause = self.early(pause, EARLY_REFRESH);
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Returns `pause`, or a shorter one soon after the start.
    fn early(&self, pause: Duration, early: Duration) -> Duration {
        self.timing.early(self.started, pause, early)
    }

    /// Returns whether the known nodes are likely to be all, which takes a moment after the start.
    pub fn has_completed_discovery(&self) -> bool {
        self.refreshes.load(Ordering::Relaxed) >= REFRESHES && self.started.elapsed() >= SHORTEST_DISCOVERY
    }

    /// Stops all background work.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns the id of this node.
    pub fn id(&self) -> NodeId {
        self.identity.id()
    }

    /// Announces soon whether this node has the path now.
    pub fn announce(&self, path: HeldPath) {
        self.announcer.announce(path);
    }

    /// Announces this node soon, after a change of its caches for example.
    pub fn announce_node_soon(&self) {
        self.changed.notify_one();
    }

    /// Returns the progress of announcing.
    pub fn announcing(&self) -> AnnounceStatus {
        self.announcer.status()
    }

    /// Returns the other nodes.
    pub fn peers(&self) -> Arc<Peers> {
        self.directory.peers()
    }

    /// Reads the records of the other nodes again.
    pub async fn refresh(&self) {
        self.directory.refresh().await;
    }

    /// Looks up a node that contacted this one outside of the DHT.
    pub async fn meet(&self, node: NodeId, deadline: Instant) {
        if node != self.id() {
            self.directory.find(node, deadline).await;
        }
    }

    /// Returns the caches of other nodes that claim to have the path, as far as they are found before the deadline.
    pub async fn find_providers(&self, hash: &StorePathHash, deadline: Instant) -> Vec<Provider> {
        let name = Name::Providers(*hash);
        let found = self.dht.read_soon::<Providers>(&name, &self.timing, self.timing.grace, deadline).await;
        let mut holders: Vec<_> = found.iter().flat_map(Providers::iter).map(|(holder, _)| holder).collect();
        holders.sort();
        holders.dedup();
        holders.retain(|holder| holder.node != self.id());
        let found = holders.into_iter().map(|holder| async move {
            let peer = self.directory.find(holder.node, deadline).await?;
            let cache = peer.cache(holder.cache)?.clone();
            Some(Provider { peer, cache })
        });
        futures_util::future::join_all(found).await.into_iter().flatten().collect()
    }

    pub(crate) fn dht(&self) -> &Dht {
        &self.dht
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    pub(crate) fn keys(&self) -> Keyring {
        self.dht.keys()
    }

    /// Replaces the keys of the network. Everything is announced under the new keys; records under removed keys expire.
    pub fn set_keys(&self, keys: Keyring) {
        if keys.is_same(&self.keys()) {
            return;
        }
        self.dht.set_keys(keys);
        self.changed.notify_one();
        self.announcer.announce_all_paths();
    }

    /// Returns why the DHT does not listen at the moment, if it does not.
    pub fn dht_problem(&self) -> Option<String> {
        self.dht.problem()
    }

    /// Returns how many records other nodes had this one store since the start, and how many of their requests it refused.
    pub fn dht_served(&self) -> (u64, u64) {
        self.dht.served()
    }

    /// Returns the status of the DHT.
    pub async fn dht_status(&self) -> DhtStatus {
        self.dht.status().await
    }
}
