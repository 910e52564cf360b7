//! Nodes to test with.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nix_formats::{SigningKey, StorePathHash};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::dht::{Dht, DhtSettings};
use crate::record::{AnnouncedCache, NodeDescription};
use crate::{Bootstrap, HeldPath, Keyring, LocalInventory, Network, Settings, Stamp, Timing};

/// Each test has a network of its own: a node may get the port that a node of another test has just left, and is asked there.
pub fn secret() -> &'static [u8] {
    static SECRET: LazyLock<[u8; 8]> = LazyLock::new(|| getrandom::u64().unwrap().to_be_bytes());
    SECRET.as_slice()
}

/// How long a condition may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything more often than in real life.
pub fn fast() -> Timing {
    Timing {
        keep: Duration::from_millis(300),
        refresh: Duration::from_millis(500),
        introduce: Duration::from_secs(2),
        node_max_age: Duration::from_secs(60),
        verify: Duration::from_secs(1),
        ..Timing::default()
    }
}

pub fn hash(number: u32) -> StorePathHash {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    StorePathHash::from_bytes(bytes)
}

pub fn path(number: u32) -> HeldPath {
    HeldPath { cache: 1, hash: hash(number) }
}

/// Waits until it is so.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The paths of one public cache.
pub struct Shelf {
    number: u32,
    paths: Mutex<BTreeSet<HeldPath>>,
}

impl LocalInventory for Shelf {
    fn describe(&self) -> NodeDescription {
        let key = SigningKey::generate("main.example.org-1").unwrap().public_key();
        NodeDescription {
            url: format!("http://127.0.0.1:{}/", 10_000 + self.number).parse().unwrap(),
            load: 0,
            free: 0,
            inventory_version: 0,
            run: 0,
            said: Stamp(0),
            caches: vec![AnnouncedCache { id: 1, name: "main".to_owned(), public_keys: vec![key] }],
        }
    }

    fn paths(&self) -> Vec<HeldPath> {
        self.paths.lock().iter().copied().collect()
    }

    fn holds(&self, path: &HeldPath) -> bool {
        self.paths.lock().contains(path)
    }
}

/// A node of a network with its cache.
pub struct TestNode {
    pub network: Arc<Network>,
    pub shelf: Arc<Shelf>,
    pub directory: tempfile::TempDir,
}

impl TestNode {
    /// Starts a node that enters the network at those ports.
    pub async fn start(number: u32, entries: &[u16], keys: Keyring, timing: Timing) -> Self {
        Self::start_with(number, entries, keys, timing, BTreeSet::new()).await
    }

    pub async fn start_with(
        number: u32,
        entries: &[u16],
        keys: Keyring,
        timing: Timing,
        paths: BTreeSet<HeldPath>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, number, 0, entries, keys, timing, paths).await
    }

    pub async fn start_in(
        directory: tempfile::TempDir,
        number: u32,
        port: u16,
        entries: &[u16],
        keys: Keyring,
        timing: Timing,
        paths: BTreeSet<HeldPath>,
    ) -> Self {
        let shelf = Arc::new(Shelf { number, paths: Mutex::new(paths) });
        let settings = Settings {
            bind: Ipv4Addr::LOCALHOST,
            port,
            public_ip: None,
            bootstrap: entries.iter().map(|port| bootstrap(*port)).collect(),
            max_records: 100_000,
            directory: directory.path(),
            timing,
        };
        let network = Network::start(settings, keys, shelf.clone()).await.unwrap();
        Self { network, shelf, directory }
    }

    pub async fn port(&self) -> u16 {
        self.network.dht_status().await.address.port()
    }

    pub fn number(&self) -> u32 {
        self.shelf.number
    }

    pub fn add(&self, number: u32) {
        self.shelf.paths.lock().insert(path(number));
        self.network.announce(path(number));
    }

    pub fn remove(&self, number: u32) {
        self.shelf.paths.lock().remove(&path(number));
        self.network.announce(path(number));
    }

    /// The numbers of the nodes that are said to have the path, in order.
    pub async fn who_has(&self, number: u32) -> Vec<u32> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let found = self.network.find_providers(&hash(number), deadline).await;
        let number =
            |provider: &crate::Provider| u32::from(provider.peer.description.url.port().unwrap()) - 10_000;
        let mut numbers: Vec<u32> = found.iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.network.stop();
    }
}

fn bootstrap(port: u16) -> Bootstrap {
    Bootstrap { host: "127.0.0.1".to_owned(), port }
}

/// A network of that many nodes that enter it through the first.
pub async fn network(nodes: u32) -> Vec<TestNode> {
    // Many nodes in one process leave little time for anything else when they look around all the time.
    let pause = std::time::Duration::from_millis(400) * nodes;
    let timing =
        Timing { beginning: Duration::ZERO, keep: pause, refresh: pause, introduce: pause * 4, ..fast() };
    network_of(nodes, timing).await
}

pub async fn network_of(nodes: u32, timing: Timing) -> Vec<TestNode> {
    let first = TestNode::start(0, &[], Keyring::derive(secret(), []), timing).await;
    let port = first.port().await;
    let mut all = vec![first];
    for number in 1..nodes {
        all.push(TestNode::start(number, &[port], Keyring::derive(secret(), []), timing).await);
    }
    for node in &all {
        until("all nodes know each other", || async { node.network.peers().len() + 1 == all.len() }).await;
    }
    all
}

/// A bare node of the DHT, without anything to tell.
pub async fn bare(directory: &Path, entries: &[u16], keys: Keyring) -> Arc<Dht> {
    let settings = DhtSettings {
        bind: Ipv4Addr::LOCALHOST,
        port: 0,
        public_ip: None,
        bootstrap: entries.iter().map(|port| bootstrap(*port)).collect(),
        max_records: 100_000,
        nodes_file: directory.join("dht-nodes"),
    };
    Dht::open(settings, keys).await.unwrap()
}
