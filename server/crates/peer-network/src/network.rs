//! A running node of a network: everything in this crate, put together.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix_formats::StorePathHash;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::announce::{AnnounceStatus, Announcer, HeldPath, Holdings};
use crate::audience::Audience;
use crate::dht::{self, Bootstrap, Dht, DhtError, DhtSettings, DhtStatus};
use crate::directory::{Directory, Peer, Peers};
use crate::record::{AnnouncedCache, Members, Name, NodePage, Providers};
use crate::{Identity, IdentityError, Keyring, NodeId, Stamp};

/// Pause after there was nobody to tell about this node.
const ALONE_PAUSE: Duration = Duration::from_millis(500);
/// Pauses between two looks at the network, and between two announcements of this node, soon after its start.
pub(crate) const EARLY_LOOK: Duration = Duration::from_secs(1);
const EARLY_INTRODUCTION: Duration = Duration::from_secs(2);
/// Looks at the network before what the known nodes hold counts as all there is, and how long after the start at least.
const LOOKS: u32 = 2;
const SETTLING: Duration = Duration::from_secs(5);

/// How often things are done and how long they are believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// How long after its start a node looks around and announces itself more often. Nodes that start together write their
    /// records before all of them know each other, so some are stored where others do not find them.
    pub beginning: Duration,
    /// Between two looks at whether we are still in the network.
    pub keep: Duration,
    /// Between two readings of who is there.
    pub refresh: Duration,
    /// Between two announcements of this node.
    pub introduce: Duration,
    /// Age at which a node that does not say anything counts as gone.
    pub node_max_age: Duration,
    /// Between two announcements of the same path.
    pub reannounce: Duration,
    /// Age at which nobody believes any more that a path is there.
    pub provider_max_age: Duration,
    /// Between two paths of a round over all of them.
    pub pace: Duration,
    /// How long a lookup waits for newer versions of a record that it has.
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
            provider_max_age: Duration::from_secs(24 * 60 * 60),
            pace: Duration::from_millis(2),
            grace: Duration::from_millis(15),
        }
    }
}

/// What a node needs to know.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The address to listen on.
    pub bind: Ipv4Addr,
    /// The UDP port to listen on; 0 for any.
    pub port: u16,
    /// How others reach us, where that is known.
    pub public_ip: Option<Ipv4Addr>,
    /// Where to enter the network. Empty on the first node.
    pub bootstrap: Vec<Bootstrap>,
    /// Most records stored for others. Every node of a small network stores nearly all of them.
    pub max_records: usize,
    /// Where the node keeps its key, and which nodes it knows.
    pub directory: &'a Path,
    /// How often and how long.
    pub timing: Timing,
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It has no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It cannot listen.
    #[error(transparent)]
    Dht(#[from] DhtError),
}

/// A cache of another node that has a path, if what it says is true.
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
    holdings: Arc<dyn Holdings>,
    timing: Timing,
    changed: Notify,
    started: Instant,
    looks: AtomicU32,
    stop: CancellationToken,
}

impl Network {
    /// Listens and begins to work in the background, until [`Network::stop`].
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(
        settings: Settings<'_>,
        keys: Keyring,
        holdings: Arc<dyn Holdings>,
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
            announcer: Arc::new(Announcer::new(dht.clone(), identity.id(), timing, holdings.clone())),
            identity,
            dht,
            holdings,
            timing,
            changed: Notify::new(),
            started: Instant::now(),
            looks: AtomicU32::new(0),
            stop: CancellationToken::new(),
        });
        tokio::spawn(network.clone().run());
        Ok(network)
    }

    async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        tasks.spawn(dht::keep(self.dht.clone(), self.timing, self.stop.clone()));
        tasks.spawn(self.announcer.clone().run(self.stop.clone()));
        let (introducing, looking) = (self.clone(), self.clone());
        tasks.spawn(async move { introducing.introduce_again_and_again().await });
        tasks.spawn(async move { looking.look_around_again_and_again().await });
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a part of federation died; a restart of the daemon brings it back");
            }
        }
    }

    async fn introduce_again_and_again(&self) {
        while !self.stop.is_cancelled() {
            let pause = match self.introduce().await {
                Ok(()) => self.early(self.timing.introduce, EARLY_INTRODUCTION),
                Err(DhtError::Alone) => ALONE_PAUSE.min(self.timing.introduce),
                Err(error) => {
                    tracing::warn!(%error, "could not announce this node");
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

    /// Tells the network that this node is there.
    async fn introduce(&self) -> Result<(), DhtError> {
        let node = self.identity.id();
        let mut description = self.holdings.describe();
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

    async fn look_around_again_and_again(&self) {
        let mut audience = Audience::default();
        let mut run = self.dht.run();
        loop {
            self.directory.refresh().await;
            self.looks.fetch_add(1, Ordering::Relaxed);
            let peers = self.directory.peers();
            let before = std::mem::replace(&mut run, self.dht.run());
            if audience.has_changed(&peers) || run != before {
                tracing::debug!(nodes = peers.len(), "telling the network everything again");
                self.changed.notify_one();
                self.announcer.tell_everything();
            }
            // Until somebody is found, look more often.
            let pause = if peers.is_empty() { self.timing.refresh / 10 } else { self.timing.refresh };
            let pause = self.early(pause, EARLY_LOOK);
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// The pause, or a shorter one soon after the start.
    fn early(&self, pause: Duration, early: Duration) -> Duration {
        if self.started.elapsed() < self.timing.beginning { pause.min(early) } else { pause }
    }

    /// Whether the nodes that are known are likely to be all there are: it takes a moment after the start.
    pub fn has_looked_around(&self) -> bool {
        self.looks.load(Ordering::Relaxed) >= LOOKS && self.started.elapsed() >= SETTLING
    }

    /// Ends all work in the background.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The name of this node.
    pub fn id(&self) -> NodeId {
        self.identity.id()
    }

    /// Tells the network soon whether this path is here now.
    pub fn tell(&self, path: HeldPath) {
        self.announcer.tell(path);
    }

    /// Tells the network soon what is new about this node: its caches, say.
    pub fn introduce_soon(&self) {
        self.changed.notify_one();
    }

    /// How far announcing has come.
    pub fn announcing(&self) -> AnnounceStatus {
        self.announcer.status()
    }

    /// The other nodes.
    pub fn peers(&self) -> Arc<Peers> {
        self.directory.peers()
    }

    /// Reads again which other nodes there are.
    pub async fn refresh(&self) {
        self.directory.refresh().await;
    }

    /// Finds out who a node is that has introduced itself otherwise than in the DHT.
    pub async fn meet(&self, node: NodeId, deadline: Instant) {
        if node != self.id() {
            self.directory.find(node, deadline).await;
        }
    }

    /// Which caches of other nodes say that they have the path, as far as that is known at the deadline.
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

    /// Other keys of the network from now on. Everything that is known here is told under them; under those that are
    /// gone it is forgotten after a while.
    pub fn set_keys(&self, keys: Keyring) {
        if keys.is_same(&self.keys()) {
            return;
        }
        self.dht.set_keys(keys);
        self.changed.notify_one();
        self.announcer.tell_everything();
    }

    /// Why the DHT does not listen, if it cannot at the moment.
    pub fn dht_problem(&self) -> Option<String> {
        self.dht.problem()
    }

    /// How the DHT is doing.
    pub async fn dht_status(&self) -> DhtStatus {
        self.dht.status().await
    }
}
