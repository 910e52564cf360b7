//! The hosts through which a node joins the network: configured hosts and the nodes known when it last ran.

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;

/// The most nodes that are saved.
const MOST_SAVED: usize = 64;

/// A host through which to join the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The name or address.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

/// Resolves the hosts. Hosts that cannot be resolved are left out and retried later.
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

/// Loads the saved nodes.
pub fn load(file: &Path) -> BTreeSet<SocketAddrV4> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).take(MOST_SAVED).collect()
}

/// Saves the known nodes.
pub async fn save(file: &Path, nodes: &[String]) {
    let text = nodes.iter().take(MOST_SAVED).map(|node| format!("{node}\n")).collect::<String>();
    let path = file.to_owned();
    let written = tokio::task::spawn_blocking(move || private_file::write(&path, text.as_bytes())).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(file = %file.display(), %error, "cannot save the known nodes of the DHT");
    }
}
