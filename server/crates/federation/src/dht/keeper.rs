//! Keeps our node in the network, whatever comes and goes.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Dht, bootstrap, probe};
use crate::Timing;

/// Rounds between two looks at whether the bootstrap hosts are in the same network as we are.
const ROUNDS_PER_PROBE: u32 = 5;
/// Rounds alone after which something else is tried.
const ROUNDS_ALONE: u32 = 3;

/// Runs until `stop` is cancelled: asks the network for us now and then, so that nodes that came back learn of us; saves
/// who is known; enters the network again where that is needed.
pub async fn keep(dht: Arc<Dht>, timing: Timing, stop: CancellationToken) {
    let mut alone = 0;
    let mut round = 0_u32;
    while stop.run_until_cancelled(tokio::time::sleep(timing.keep)).await.is_some() {
        round = round.wrapping_add(1);
        let Some(node) = dht.node() else { continue };
        node.bootstrapped().await;
        let nodes = node.to_bootstrap().await;
        drop(node);
        bootstrap::save(&dht.settings.nodes_file, &nodes).await;
        alone = if nodes.is_empty() { alone + 1 } else { 0 };
        let entries = if alone >= ROUNDS_ALONE {
            alone = 0;
            other_entries(&dht).await
        } else if alone == 0 && round.is_multiple_of(ROUNDS_PER_PROBE) {
            lost_hosts(&dht, &nodes).await
        } else {
            None
        };
        if let Some(entries) = entries {
            tracing::info!(through = entries.len(), "entering the network of the DHT again");
            if let Err(error) = dht.restart(entries).await {
                tracing::warn!(%error, "could not start the DHT again; trying on");
            }
        }
    }
}

/// For a node that is alone: other addresses to enter the network through than it has. One that has no bootstrap hosts
/// takes turns between calling those it once knew, and waiting to be called, which a node that calls others is deaf to.
async fn other_entries(dht: &Dht) -> Option<BTreeSet<SocketAddrV4>> {
    let current = dht.entries();
    if dht.settings.bootstrap.is_empty() && !current.is_empty() {
        return Some(BTreeSet::new());
    }
    let mut entries = bootstrap::resolve(&dht.settings.bootstrap).await;
    entries.extend(bootstrap::load(&dht.settings.nodes_file));
    (!entries.is_subset(&current)).then_some(entries)
}

/// For a node that knows others: its bootstrap hosts, if one of them answers but is in another part of the network, as
/// after an outage that was longer than nodes remember each other.
async fn lost_hosts(dht: &Dht, nodes: &[String]) -> Option<BTreeSet<SocketAddrV4>> {
    let known: BTreeSet<SocketAddrV4> = nodes.iter().filter_map(|node| node.parse().ok()).collect();
    let hosts = bootstrap::resolve(&dht.settings.bootstrap).await;
    for host in &hosts {
        if known.contains(host) {
            continue;
        }
        let Some(neighbours) = probe::neighbours(dht.settings.bind, *host).await else { continue };
        // A host that knows whom we know is in the same network; so is our own address in the list.
        if neighbours.is_disjoint(&known) {
            return Some(hosts.union(&known).copied().collect());
        }
    }
    None
}
