//! A node of a network that is a test itself: it sees what daemons tell each other, and can pose as one of them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix_formats::PublicKey;
use peer_network::record::{AnnouncedCache, NodeDescription};
use peer_network::{Bootstrap, HeldPath, Keyring, LocalInventory, Network, Settings, Stamp, Timing};
use tokio::runtime::Runtime;

use super::upstream::{Act, Upstream};
use crate::harness::{Path, Response, Site};

/// The name of the cache that a node poses with.
const CACHE: &str = "main";

/// The node.
pub struct Node {
    pub network: Arc<Network>,
    shelf: Arc<Shelf>,
    runtime: Runtime,
    _directory: tempfile::TempDir,
}

/// What it says it has.
struct Shelf {
    description: NodeDescription,
    paths: Mutex<BTreeSet<HeldPath>>,
}

impl LocalInventory for Shelf {
    fn describe(&self) -> NodeDescription {
        self.description.clone()
    }

    fn paths(&self) -> Vec<HeldPath> {
        self.paths.lock().unwrap().iter().copied().collect()
    }

    fn holds(&self, path: &HeldPath) -> bool {
        self.paths.lock().unwrap().contains(path)
    }
}

impl Node {
    /// One that has nothing and looks at everything, in the network of the daemon.
    pub fn observing(site: &Site) -> Self {
        Self::join(site, "http://127.0.0.1:1", Vec::new())
    }

    /// One that says it has a public cache, where the upstream answers as it was told to.
    pub fn posing(site: &Site, web: &Upstream) -> Self {
        Self::posing_under(site, web, &[web.public_key()])
    }

    /// The same, under other keys than that of the upstream.
    pub fn posing_under(site: &Site, web: &Upstream, keys: &[String]) -> Self {
        let public_keys = keys.iter().map(|key| PublicKey::parse(key).unwrap()).collect();
        Self::join(site, &web.url(), vec![AnnouncedCache { id: 1, name: CACHE.to_owned(), public_keys }])
    }

    /// The same, which says that it is at this URL.
    pub fn posing_at(site: &Site, web: &Upstream, url: &str) -> Self {
        let public_keys = vec![PublicKey::parse(&web.public_key()).unwrap()];
        Self::join(site, url, vec![AnnouncedCache { id: 1, name: CACHE.to_owned(), public_keys }])
    }

    fn join(site: &Site, url: &str, caches: Vec<AnnouncedCache>) -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let url = url.parse().unwrap();
        let description =
            NodeDescription { url, load: 0, free: 0, inventory_version: 0, run: 0, said: Stamp(0), caches };
        let shelf = Arc::new(Shelf { description, paths: Mutex::default() });
        let settings = Settings {
            bind: Ipv4Addr::LOCALHOST,
            port: 0,
            public_ip: None,
            bootstrap: vec![Bootstrap { host: "127.0.0.1".to_owned(), port: site.port("deploy") }],
            max_records: 1000,
            directory: directory.path(),
            timing: Timing { refresh: Duration::from_millis(500), ..Timing::default() },
        };
        let key = "6b".repeat(32);
        let keys = Keyring::derive(key.as_bytes(), []);
        let network = runtime.block_on(Network::start(settings, keys, shelf.clone())).unwrap();
        Self { network, shelf, runtime, _directory: directory }
    }

    /// Says that it has the path.
    pub fn announce(&self, path: &Path) {
        let held = HeldPath { cache: 1, hash: path.hash.parse().unwrap() };
        self.shelf.paths.lock().unwrap().insert(held);
        self.network.announce(held);
    }

    /// The names of the caches that are said to have the path.
    pub fn who_has(&self, path: &Path) -> Vec<String> {
        let hash = path.hash.parse().unwrap();
        let found = self.runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
            self.network.find_providers(&hash, deadline).await
        });
        found.into_iter().map(|provider| provider.cache.name).collect()
    }

    /// The names of all caches that anybody announces.
    pub fn caches(&self) -> Vec<String> {
        let peers = self.network.peers();
        let caches = peers.values().flat_map(|peer| &peer.description.caches);
        caches.map(|cache| cache.name.clone()).collect()
    }

    /// The reply to the question for a daemon's digest, asked as a node of the network does, and the question.
    pub fn ask_digest(&self, site: &Site) -> (Response, Vec<u8>) {
        let node = self.network.id();
        let question = format!("digest {node} 0 0 once").into_bytes();
        let proof = URL_SAFE_NO_PAD.encode(self.network.prove(&question));
        let request = site.api().get("/api/v1/network/digest?epoch=0&position=0&nonce=once");
        let request = request.header("cache-server-peer", &node.to_string());
        (request.header("cache-server-proof", &proof).send(), question)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.network.stop();
    }
}

/// What the cache of a node that poses is asked for.
pub fn target(rest: &str) -> String {
    format!("/api/v1/cache/{CACHE}/{rest}")
}

/// Makes such a cache have the path, as a good one does.
pub fn has(web: &Upstream, path: &Path) {
    web.on(&target(&format!("{}.narinfo", path.hash)), Act::Send(web.narinfo(path).into_bytes()));
    web.on(&target(&path.file_url()), Act::Send(path.file.clone()));
}
