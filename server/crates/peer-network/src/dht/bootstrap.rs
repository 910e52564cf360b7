//! Where a node enters the network: the configured hosts, and the nodes that it knew when it last ran.

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;

use crate::file::write_private;

/// Most nodes that are saved.
const MOST_SAVED: usize = 64;

/// A host to enter the network through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// Name or address.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

/// The addresses behind the hosts now. What cannot be resolved is left out; it is tried again later.
pub async fn resolve(hosts: &[Bootstrap]) -> BTreeSet<SocketAddrV4> {
    let mut addresses = BTreeSet::new();
    for Bootstrap { host, port } in hosts {
        match tokio::net::lookup_host((host.as_str(), *port)).await {
            Ok(found) => addresses.extend(found.filter_map(|address| match address {
                SocketAddr::V4(address) => Some(address),
                SocketAddr::V6(_) => None,
            })),
            Err(error) => tracing::debug!(host, %error, "cannot resolve a bootstrap host"),
        }
    }
    addresses
}

/// The nodes that were saved.
pub fn load(file: &Path) -> BTreeSet<SocketAddrV4> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).take(MOST_SAVED).collect()
}

/// Saves the known nodes. Without any, what was saved before is worth more.
pub async fn save(file: &Path, nodes: &[String]) {
    if nodes.is_empty() {
        return;
    }
    let text = nodes.iter().take(MOST_SAVED).map(|node| format!("{node}\n")).collect::<String>();
    let path = file.to_owned();
    let written = tokio::task::spawn_blocking(move || write_private(&path, text.as_bytes())).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(file = %file.display(), %error, "could not save the known nodes of the DHT");
    }
}
