//! The DHT node of this daemon: it stores records of the network, reads and writes our own, and stays connected.
//!
//! The DHT is separate from that of BitTorrent. The `mainline` crate supports only IPv4, and treats several nodes behind one public
//! address as one.

mod bootstrap;
mod error;
mod filter;
mod keeper;
mod probe;
mod read;
mod socket_waker;
mod update;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainline::async_dht::AsyncDht;
use mainline::{Dht as Mainline, ServerSettings};
use parking_lot::RwLock;

pub use self::bootstrap::Bootstrap;
pub use self::error::{DhtError, with_causes};
use self::filter::Filter;
pub use self::keeper::keep;
use self::socket_waker::{SocketWaker, WakeGuard};
use crate::Keyring;

/// How long a node may take to reply. A dead node is queried for a quarter of an hour, each time at this cost.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(600);
/// How long the socket of a replaced node may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The status of the DHT.
#[derive(Debug, Clone)]
pub struct DhtStatus {
    /// The address on which the node listens.
    pub address: SocketAddrV4,
    /// The address that other nodes see, if they reported it.
    pub public_address: Option<SocketAddrV4>,
    /// Why the node does not listen at the moment, if it does not.
    pub problem: Option<String>,
    /// The other nodes that respond.
    pub nodes: Vec<String>,
    /// The estimated number of nodes.
    pub estimated_size: usize,
}

/// The settings of a DHT node.
#[derive(Debug, Clone)]
pub struct DhtSettings {
    /// The address to listen on.
    pub bind: Ipv4Addr,
    /// The port to listen on; 0 for any.
    pub port: u16,
    /// The public address of this node, if it is known.
    pub public_ip: Option<Ipv4Addr>,
    /// The hosts through which to join the network.
    pub bootstrap: Vec<Bootstrap>,
    /// The most records stored for others.
    pub max_records: usize,
    /// The file in which known nodes are saved.
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
    /// `None` only while the node is being started or replaced, which may not succeed at once.
    node: Option<AsyncDht>,
    /// Why the last attempt to start the node failed.
    problem: Option<String>,
    waker: SocketWaker,
    address: SocketAddrV4,
    /// The addresses through which the node joined the network.
    entries: BTreeSet<SocketAddrV4>,
    /// Distinguishes the node from its predecessor.
    number: u32,
}

impl Running {
    /// A node that listens on `address`, or one that could not be started yet because of a problem.
    fn new(
        node: Result<AsyncDht, String>,
        address: SocketAddrV4,
        entries: BTreeSet<SocketAddrV4>,
    ) -> Result<Self, DhtError> {
        let (node, problem) = match node {
            Ok(node) => (Some(node), None),
            Err(problem) => (None, Some(problem)),
        };
        Ok(Self {
            node,
            problem,
            waker: SocketWaker::start(address),
            address,
            entries,
            number: getrandom::u32()?,
        })
    }
}

/// The node during one use, which keeps its thread awake.
struct Node {
    inner: AsyncDht,
    _waiting: WakeGuard,
}

impl Deref for Node {
    type Target = AsyncDht;

    fn deref(&self) -> &AsyncDht {
        &self.inner
    }
}

impl Dht {
    /// Starts the node with the nodes that were known when it last ran. If it cannot listen, [`keeper::keep`] retries that.
    pub async fn open(settings: DhtSettings, keys: Keyring) -> Result<Arc<Self>, DhtError> {
        let mut entries = bootstrap::resolve(&settings.bootstrap).await;
        entries.extend(bootstrap::load(&settings.nodes_file));
        let filter = Filter::new(&keys);
        let (node, address) = match start(&settings, settings.port, &entries, &filter).await {
            Ok((node, address)) => (Ok(node), address),
            Err(error @ DhtError::Bind { address, .. }) => {
                let problem = with_causes(&error);
                tracing::warn!(
                    error = problem,
                    "the DHT cannot listen, so other nodes are not found; retrying"
                );
                (Err(problem), address)
            }
            Err(error) => return Err(error),
        };
        let running = RwLock::new(Running::new(node, address, entries)?);
        Ok(Arc::new(Self { settings, keys: RwLock::new(keys), filter, running }))
    }

    /// Returns the address on which the node listens.
    pub fn address(&self) -> SocketAddrV4 {
        self.running.read().address
    }

    /// Returns the number of this run, which starts without stored records.
    pub fn run(&self) -> u32 {
        self.running.read().number
    }

    /// Returns the status.
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

    /// Returns how many records of the network other nodes had this one store, and how many of their requests it refused.
    pub fn served(&self) -> (u64, u64) {
        (self.filter.records(), self.filter.refused())
    }

    /// Returns why the node does not listen at the moment, if it does not. Listening is retried.
    pub fn problem(&self) -> Option<String> {
        self.running.read().problem.clone()
    }

    /// Returns the keys of the network.
    pub fn keys(&self) -> Keyring {
        self.keys.read().clone()
    }

    /// Replaces the keys of the network.
    pub fn set_keys(&self, keys: Keyring) {
        self.filter.set_keys(&keys);
        *self.keys.write() = keys;
    }

    /// Returns whether no other node is known.
    pub(crate) async fn is_alone(&self) -> bool {
        match self.node() {
            Some(node) => node.to_bootstrap().await.is_empty(),
            None => true,
        }
    }

    fn node(&self) -> Option<Node> {
        let running = self.running.read();
        Some(Node { inner: running.node.clone()?, _waiting: running.waker.wait() })
    }

    fn entries(&self) -> BTreeSet<SocketAddrV4> {
        self.running.read().entries.clone()
    }

    /// Replaces the node by one that joins the network through `entries`. The records that it stored for others are lost until
    /// they are announced again. After a failure there is no node: call this again.
    async fn restart(&self, entries: BTreeSet<SocketAddrV4>) -> Result<(), DhtError> {
        {
            let mut running = self.running.write();
            running.node = None;
            running.entries.clone_from(&entries);
        }
        let restarted = self.start_again(entries).await;
        if let Err(error) = &restarted {
            self.running.write().problem = Some(with_causes(error));
        }
        restarted
    }

    async fn start_again(&self, entries: BTreeSet<SocketAddrV4>) -> Result<(), DhtError> {
        let port = self.address().port();
        // The old socket stays open until the last request on it has ended.
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
        let running = Running::new(Ok(node), address, entries)?;
        *self.running.write() = running;
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
            // We use none of these.
            max_immutable_values: 1,
            max_info_hashes: 1,
            max_peers_per_info_hash: 1,
            filter: Box::new(filter.clone()),
        });
    if let Some(ip) = settings.public_ip {
        builder.public_ip(ip);
    }
    let others: Vec<SocketAddr> =
        entries.iter().filter(|entry| !is_own(**entry, port)).map(|entry| SocketAddr::V4(*entry)).collect();
    if others.is_empty() {
        // Only a node without entries adds the nodes that query it to its routing table.
        builder.no_bootstrap();
    } else {
        builder.bootstrap(&others);
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

/// Whether an entry is the node that is to listen on `port` of this machine. All nodes of a network may have the same list of hosts;
/// a node that joins through itself finds nobody, and tries again without a pause.
fn is_own(entry: SocketAddrV4, port: u16) -> bool {
    entry.port() == port && std::net::UdpSocket::bind((*entry.ip(), 0)).is_ok()
}
