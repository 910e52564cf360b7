//! What others learn about a daemon: read with a node of the same network, record by record.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ::federation::record::NodeDescription;
use ::federation::{Bootstrap, HeldPath, Holdings, Keyring, Network, Settings, Stamp, Timing};
use tokio::runtime::Runtime;

use super::network::{soon_finds, start};
use crate::harness::{Path, SOON, Site, wait_for};

/// A node that has nothing and looks at everything.
struct Observer {
    network: Arc<Network>,
    runtime: Runtime,
    _directory: tempfile::TempDir,
}

struct Nothing;

impl Holdings for Nothing {
    fn describe(&self) -> NodeDescription {
        let url = "http://127.0.0.1:1".parse().unwrap();
        NodeDescription { url, load: 0, free: 0, said: Stamp(0), caches: Vec::new() }
    }

    fn paths(&self) -> Vec<HeldPath> {
        Vec::new()
    }

    fn holds(&self, _: &HeldPath) -> bool {
        false
    }
}

impl Observer {
    fn of(site: &Site) -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
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
        let network = runtime.block_on(Network::start(settings, keys, Arc::new(Nothing))).unwrap();
        Self { network, runtime, _directory: directory }
    }

    /// The names of the caches that are said to have the path.
    fn who_has(&self, path: &Path) -> Vec<String> {
        let hash = path.hash.parse().unwrap();
        let found = self.runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
            self.network.find_providers(&hash, deadline).await
        });
        found.into_iter().map(|provider| provider.cache.name).collect()
    }

    /// The names of all caches that anybody announces.
    fn caches(&self) -> Vec<String> {
        let peers = self.network.peers();
        let caches = peers.values().flat_map(|peer| &peer.description.caches);
        caches.map(|cache| cache.name.clone()).collect()
    }
}

#[test]
fn nothing_of_a_private_cache_is_ever_announced() {
    let sites = start(2);
    let observer = Observer::of(&sites[0]);
    let (secret, open) = (Path::small("secret"), Path::small("open"));
    // The public one comes last, so when it is announced the private one would be too.
    sites[1].pusher("priv").push(&secret);
    sites[1].pusher("pub").push(&open);
    wait_for(SOON, "the public path is announced", || (observer.who_has(&open) == ["pub"]).then_some(()));
    assert_eq!(observer.who_has(&secret), Vec::<String>::new());
    wait_for(SOON, "both daemons are known", || (observer.caches().len() == 6).then_some(()));
    assert!(!observer.caches().contains(&"priv".to_owned()), "{:?}", observer.caches());
    soon_finds(&sites[0], "pub", &open);
    assert_eq!(sites[0].reader("pub").narinfo_status(&secret), 404);
}

#[test]
fn what_is_deleted_is_taken_back() {
    let sites = start(2);
    let observer = Observer::of(&sites[0]);
    let path = Path::small("short-lived");
    sites[1].pusher("pub").push(&path);
    wait_for(SOON, "it is announced", || (observer.who_has(&path) == ["pub"]).then_some(()));
    sites[1].cachectl_ok(&["path", "delete", &path.hash, "--cache", "pub"]);
    wait_for(SOON, "it is withdrawn", || observer.who_has(&path).is_empty().then_some(()));
}

#[test]
fn a_cache_that_becomes_private_is_taken_back() {
    let sites = start(2);
    let observer = Observer::of(&sites[0]);
    let path = Path::small("once-open");
    sites[1].pusher("pub").push(&path);
    wait_for(SOON, "it is announced", || (observer.who_has(&path) == ["pub"]).then_some(()));
    sites[1].edit_config(|config| config["caches"][0]["access"] = "private".into());
    sites[1].cachectl_ok(&["reload"]);
    wait_for(SOON, "it is withdrawn", || observer.who_has(&path).is_empty().then_some(()));
}
