//! A node of a network inside this program.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use nix_formats::{SigningKey, StorePathHash};
use peer_network::inventory;
use peer_network::record::{AnnouncedCache, NodeDescription};
use peer_network::{Bootstrap, HeldPath, Keyring, LocalInventory, Network, Settings, Stamp, Timing};

use crate::support::Result;

/// What all nodes share.
pub const SECRET: &str = "the secret of a network that is measured";

/// A path that no other number has.
pub fn path(number: u32) -> StorePathHash {
    use sha2::{Digest, Sha256};
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&Sha256::digest(number.to_be_bytes())[..20]);
    StorePathHash::from_bytes(bytes)
}

/// A node that has whatever it is told to announce.
struct Shelf(NodeDescription);

impl LocalInventory for Shelf {
    fn describe(&self) -> NodeDescription {
        self.0.clone()
    }

    fn paths(&self) -> Vec<HeldPath> {
        Vec::new()
    }

    fn holds(&self, _: &HeldPath) -> bool {
        true
    }
}

/// Starts one that enters the network at that port, and answers over HTTP at the other one.
pub async fn start(directory: &Path, entry: Option<u16>, http: u16, timing: Timing) -> Result<Arc<Network>> {
    std::fs::create_dir_all(directory)?;
    let public_keys = vec![SigningKey::generate("bench.example.org-1")?.public_key()];
    let description = NodeDescription {
        url: format!("http://127.0.0.1:{http}").parse()?,
        load: 0,
        free: 0,
        inventory_version: inventory::VERSION,
        run: 0,
        said: Stamp(0),
        caches: vec![AnnouncedCache { id: 1, name: "bench".to_owned(), public_keys }],
    };
    let settings = Settings {
        bind: Ipv4Addr::LOCALHOST,
        port: 0,
        public_ip: None,
        bootstrap: entry.into_iter().map(|port| Bootstrap { host: "127.0.0.1".to_owned(), port }).collect(),
        max_records: 100_000,
        directory,
        timing,
    };
    let keys = Keyring::derive(SECRET.as_bytes(), []);
    Ok(Network::start(settings, keys, Arc::new(Shelf(description))).await?)
}
