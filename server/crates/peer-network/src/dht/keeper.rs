//! Keeps our node in the network, whatever comes and goes.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Dht, bootstrap, probe};
use crate::Timing;
use crate::network::EARLY_LOOK;

/// Rounds between two looks at whether the bootstrap hosts are in the same network as we are.
const ROUNDS_PER_PROBE: u32 = 5;
/// Rounds alone after which something else is tried.
const ROUNDS_ALONE: u32 = 3;

/// Pauses between two attempts to listen again after the node could not be started.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
const LAST_ATTEMPT: Duration = Duration::from_secs(30);

/// Runs until `stop` is cancelled: asks the network for us now and then, so that nodes that came back learn of us; saves
/// who is known; enters the network again where that is needed.
pub async fn keep(dht: Arc<Dht>, timing: Timing, stop: CancellationToken) {
    let (asking, keeping) = (ask_early(&dht, timing), keep_connected(&dht, timing));
    let work = async { tokio::join!(asking, keeping) };
    stop.run_until_cancelled(work).await;
}

/// Asks the network for us often at first: nodes that start together do not know each other yet, and one without any entry
/// learns of others only by being asked.
async fn ask_early(dht: &Dht, timing: Timing) {
    let begun = Instant::now();
    while begun.elapsed() < timing.beginning {
        tokio::time::sleep(EARLY_LOOK.min(timing.keep)).await;
        if let Some(node) = dht.node() {
            node.bootstrapped().await;
        }
    }
}

async fn keep_connected(dht: &Dht, timing: Timing) {
    let mut alone = 0;
    let mut round = 0_u32;
    loop {
        tokio::time::sleep(timing.keep).await;
        round = round.wrapping_add(1);
        let Some(node) = dht.node() else {
            listen_again(dht).await;
            continue;
        };
        node.bootstrapped().await;
        let nodes = node.to_bootstrap().await;
        drop(node);
        bootstrap::save(&dht.settings.nodes_file, &nodes).await;
        alone = if nodes.is_empty() { alone + 1 } else { 0 };
        let entries = if alone >= ROUNDS_ALONE {
            alone = 0;
            other_entries(dht).await
        } else if alone == 0 && round.is_multiple_of(ROUNDS_PER_PROBE) {
            lost_hosts(dht, &nodes).await
        } else {
            None
        };
        if let Some(entries) = entries {
            tracing::info!(through = entries.len(), "entering the network of the DHT again");
            if let Err(error) = dht.restart(entries).await {
                tracing::warn!(%error, "could not start the DHT again; retrying");
                listen_again(dht).await;
            }
        }
    }
}

/// Starts the node that could not be started when it was replaced, as soon as that can be done.
async fn listen_again(dht: &Dht) {
    let mut pause = FIRST_ATTEMPT;
    loop {
        tokio::time::sleep(pause).await;
        match dht.restart(dht.entries()).await {
            Ok(()) => {
                tracing::info!("the DHT listens again");
                return;
            }
            Err(error) => tracing::debug!(%error, "still cannot start the DHT"),
        }
        pause = (pause * 2).min(LAST_ATTEMPT);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::PoisonError;

    use super::*;
    use crate::Keyring;
    use crate::dht::DhtSettings;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_whose_port_was_taken_says_so_and_listens_again_when_it_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let settings = DhtSettings {
            bind: Ipv4Addr::LOCALHOST,
            port: 0,
            public_ip: None,
            bootstrap: Vec::new(),
            max_records: 10,
            nodes_file: directory.path().join("dht-nodes"),
        };
        let dht = Dht::open(settings, Keyring::derive(b"secret", [])).await.unwrap();
        assert_eq!(dht.problem(), None);
        let address = dht.address();
        // Somebody else takes the port while the node is being replaced.
        dht.running.write().unwrap_or_else(PoisonError::into_inner).node = None;
        let taken = loop {
            match UdpSocket::bind(address) {
                Ok(socket) => break socket,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert!(dht.restart(BTreeSet::new()).await.is_err());
        assert!(dht.problem().unwrap().contains(&address.to_string()));
        assert!(dht.status().await.problem.is_some());
        let listening = listen_again(&dht);
        drop(taken);
        listening.await;
        assert_eq!(dht.problem(), None);
        assert!(dht.node().is_some());
        assert_eq!(dht.address(), address);
    }
}
