//! Our node of the DHT: it stores the records of the network, reads and writes ours, and stays connected.
//!
//! The DHT is a network of its own, apart from BitTorrent's. The `mainline` crate speaks IPv4 only, and takes several nodes
//! behind one public address for one.

mod bootstrap;
mod filter;
mod keeper;
mod nudge;
mod probe;
mod read;
mod update;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mainline::async_dht::AsyncDht;
use mainline::{Dht as Mainline, ServerSettings};

pub use self::bootstrap::Bootstrap;
use self::filter::Filter;
pub use self::keeper::keep;
use self::nudge::{Nudge, Waiting};
use crate::Keyring;

/// How long a node may take to answer. A dead node is asked for a quarter of an hour, so this is what it costs meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(600);
/// How long the socket of a node that we replace may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the DHT did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DhtError {
    /// The port is taken.
    #[error("cannot listen on UDP {address}: {source}")]
    Bind {
        /// Where it should listen.
        address: SocketAddrV4,
        /// What the system said.
        source: io::Error,
    },
    /// There is nobody to store a record at.
    #[error("no other node of the network is known")]
    Alone,
    /// Others write the same record all the time.
    #[error("the record `{0}` is being changed by too many others")]
    Contended(String),
    /// Nobody answered.
    #[error("no node stored the record `{0}`")]
    Unanswered(String),
    /// The system has no random bytes.
    #[error("could not seal a record: {0}")]
    Random(#[from] getrandom::Error),
}

/// How the DHT is doing.
#[derive(Debug, Clone)]
pub struct DhtStatus {
    /// Where we listen.
    pub address: SocketAddrV4,
    /// How others see us, where they have told.
    pub public_address: Option<SocketAddrV4>,
    /// Why it does not listen at the moment, if so.
    pub problem: Option<String>,
    /// The other nodes that answer.
    pub nodes: Vec<String>,
    /// About how many nodes there are.
    pub estimated_size: usize,
}

/// What a DHT node needs.
#[derive(Debug, Clone)]
pub struct DhtSettings {
    /// The address to listen on.
    pub bind: Ipv4Addr,
    /// The port to listen on; 0 for any.
    pub port: u16,
    /// How others reach us, where that is known.
    pub public_ip: Option<Ipv4Addr>,
    /// Where to enter the network.
    pub bootstrap: Vec<Bootstrap>,
    /// Most records stored for others.
    pub max_records: usize,
    /// Where the known nodes are saved.
    pub nodes_file: PathBuf,
}

/// A node of the DHT.
pub struct Dht {
    settings: DhtSettings,
    keys: RwLock<Keyring>,
    filter: Filter,
    running: RwLock<Running>,
}

struct Running {
    /// `None` only while it is being replaced, which may not succeed at once.
    node: Option<AsyncDht>,
    /// Why the last attempt did not succeed.
    problem: Option<String>,
    nudge: Nudge,
    address: SocketAddrV4,
    /// What it was told to enter the network through.
    entries: BTreeSet<SocketAddrV4>,
    /// What tells it from the one before.
    number: u32,
}

impl Running {
    fn new(node: AsyncDht, address: SocketAddrV4, entries: BTreeSet<SocketAddrV4>) -> Result<Self, DhtError> {
        Ok(Self {
            node: Some(node),
            problem: None,
            nudge: Nudge::start(address),
            address,
            entries,
            number: getrandom::u32()?,
        })
    }
}

/// The node for one use, during which its thread is kept awake.
struct Node {
    inner: AsyncDht,
    _waiting: Waiting,
}

impl Deref for Node {
    type Target = AsyncDht;

    fn deref(&self) -> &AsyncDht {
        &self.inner
    }
}

impl Dht {
    /// Starts the node, with the nodes that were known when it last ran.
    pub async fn open(settings: DhtSettings, keys: Keyring) -> Result<Arc<Self>, DhtError> {
        let mut entries = bootstrap::resolve(&settings.bootstrap).await;
        entries.extend(bootstrap::load(&settings.nodes_file));
        let filter = Filter::new(&keys);
        let (node, address) = start(&settings, settings.port, &entries, &filter).await?;
        let running = RwLock::new(Running::new(node, address, entries)?);
        Ok(Arc::new(Self { settings, keys: RwLock::new(keys), filter, running }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddrV4 {
        self.running.read().unwrap_or_else(PoisonError::into_inner).address
    }

    /// The number of this run, in which it stores what it was told since it began.
    pub fn run(&self) -> u32 {
        self.running.read().unwrap_or_else(PoisonError::into_inner).number
    }

    /// How it is doing.
    pub async fn status(&self) -> DhtStatus {
        let mut status = DhtStatus {
            address: self.address(),
            public_address: None,
            problem: self.problem(),
            nodes: Vec::new(),
            estimated_size: 0,
        };
        if let Some(node) = self.node() {
            let info = node.info().await;
            status.nodes = node.to_bootstrap().await;
            status.public_address = info.public_address();
            status.estimated_size = info.dht_size_estimate().0;
        }
        status
    }

    /// Why the node does not listen at the moment, if it does not. Listening is retried.
    pub fn problem(&self) -> Option<String> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// The keys of the network.
    pub fn keys(&self) -> Keyring {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other keys from now on.
    pub fn set_keys(&self, keys: Keyring) {
        self.filter.set_keys(&keys);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn node(&self) -> Option<Node> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        Some(Node { inner: running.node.clone()?, _waiting: running.nudge.wait() })
    }

    fn entries(&self) -> BTreeSet<SocketAddrV4> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).entries.clone()
    }

    /// Replaces the node by one that enters the network elsewhere. What it stored for others is lost; they store it again.
    /// After a failure there is none, and this has to be called again.
    async fn restart(&self, entries: BTreeSet<SocketAddrV4>) -> Result<(), DhtError> {
        {
            let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
            running.node = None;
            running.entries.clone_from(&entries);
        }
        let restarted = self.start_again(entries).await;
        if let Err(error) = &restarted {
            self.running.write().unwrap_or_else(PoisonError::into_inner).problem = Some(error.to_string());
        }
        restarted
    }

    async fn start_again(&self, entries: BTreeSet<SocketAddrV4>) -> Result<(), DhtError> {
        let port = self.address().port();
        // The old socket is open until the last request that uses it has ended.
        let started = tokio::time::timeout(CLOSE_TIMEOUT, async {
            loop {
                match start(&self.settings, port, &entries, &self.filter).await {
                    Err(DhtError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => return other,
                }
            }
        });
        let address = SocketAddrV4::new(self.settings.bind, port);
        let timed_out = |_| DhtError::Bind { address, source: io::ErrorKind::AddrInUse.into() };
        let (node, address) = started.await.map_err(timed_out)??;
        let running = Running::new(node, address, entries)?;
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = running;
        Ok(())
    }
}

async fn start(
    settings: &DhtSettings,
    port: u16,
    entries: &BTreeSet<SocketAddrV4>,
    filter: &Filter,
) -> Result<(AsyncDht, SocketAddrV4), DhtError> {
    let mut builder = Mainline::builder();
    builder
        .server_mode()
        .bind_address(settings.bind)
        .port(port)
        .request_timeout(REQUEST_TIMEOUT)
        .server_settings(ServerSettings {
            max_mutable_values: settings.max_records,
            // Nothing of that is ours.
            max_immutable_values: 1,
            max_info_hashes: 1,
            max_peers_per_info_hash: 1,
            filter: Box::new(filter.clone()),
        });
    if let Some(ip) = settings.public_ip {
        builder.public_ip(ip);
    }
    if entries.is_empty() {
        // Only a node without any entry takes those that ask it into its table.
        builder.no_bootstrap();
    } else {
        builder.bootstrap(&entries.iter().map(|entry| SocketAddr::V4(*entry)).collect::<Vec<_>>());
    }
    let address = SocketAddrV4::new(settings.bind, port);
    let built = tokio::task::spawn_blocking(move || builder.build()).await;
    let node = built
        .map_err(io::Error::other)
        .and_then(|node| node)
        .map_err(|source| DhtError::Bind { address, source })?
        .as_async();
    let address = node.info().await.local_addr();
    Ok((node, address))
}
