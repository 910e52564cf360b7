//! Keeps our node connected to the network.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use mainline::Id;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::with_causes;
use super::{Dht, bootstrap, probe};
use crate::Timing;
use crate::network::EARLY_REFRESH;

/// The rounds between two checks whether the bootstrap hosts are in the same network as this node.
const ROUNDS_PER_PROBE: u32 = 5;
/// The rounds without a reply of any node after which other entries are tried.
const ROUNDS_ALONE: u32 = 3;

/// The shortest and longest pause between two attempts to listen again.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
const LAST_ATTEMPT: Duration = Duration::from_secs(30);

/// Runs until `stop` is cancelled: looks up its own id periodically, so that returning nodes learn of this one, saves the known
/// nodes, and joins the network again when needed. A node that could not start is started first. If an earlier run `has_failed`, the
/// node is replaced: its thread may be gone, and then every use of it panics.
pub async fn keep(dht: Arc<Dht>, timing: Timing, stop: CancellationToken, has_failed: bool) {
    let work = async {
        if has_failed || dht.node().is_none() {
            listen_again(&dht).await;
        }
        tokio::join!(ask_early(&dht, timing), keep_connected(&dht, timing))
    };
    stop.run_until_cancelled(work).await;
}

/// Looks up its own id often at first: nodes that start together do not know each other yet, and a node without entries learns of
/// others only from their queries.
async fn ask_early(dht: &Dht, timing: Timing) {
    let begun = Instant::now();
    while begun.elapsed() < timing.beginning {
        tokio::time::sleep(EARLY_REFRESH.min(timing.keep)).await;
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
        // Nodes that have died are known for a quarter of an hour. Until then a node that knows no others is as alone as one that knows
        // none.
        let is_answered = !nodes.is_empty() && !node.get_closest_nodes(Id::random()).await.is_empty();
        drop(node);
        if is_answered {
            bootstrap::save(&dht.settings.nodes_file, &nodes).await;
        }
        alone = if is_answered { 0 } else { alone + 1 };
        let entries = if alone >= ROUNDS_ALONE {
            alone = 0;
            other_entries(dht).await
        } else if alone == 0 && round.is_multiple_of(ROUNDS_PER_PROBE) {
            lost_hosts(dht, &nodes).await
        } else {
            None
        };
        if let Some(entries) = entries {
            tracing::info!(through = entries.len(), "joining the network of the DHT again");
            if let Err(error) = dht.restart(entries).await {
                tracing::warn!(error = with_causes(&error), "cannot restart the DHT; retrying");
                listen_again(dht).await;
            }
        }
    }
}

/// Retries to start the node until it succeeds.
async fn listen_again(dht: &Dht) {
    let mut pause = FIRST_ATTEMPT;
    loop {
        tokio::time::sleep(pause).await;
        match dht.restart(dht.entries()).await {
            Ok(()) => {
                tracing::info!("the DHT is listening again");
                return;
            }
            Err(error) => tracing::debug!(error = with_causes(&error), "still cannot restart the DHT"),
        }
        pause = (pause * 2).min(LAST_ATTEMPT);
    }
}

/// Returns other entries for a node that gets no replies: also the nodes that still write records to this one. A node without
/// bootstrap hosts alternates between contacting the nodes it once knew and waiting to be contacted, because a node with entries
/// does not add the nodes that query it.
async fn other_entries(dht: &Dht) -> Option<BTreeSet<SocketAddrV4>> {
    let current = dht.entries();
    if dht.settings.bootstrap.is_empty() && !current.is_empty() {
        return Some(BTreeSet::new());
    }
    let mut entries = bootstrap::resolve(&dht.settings.bootstrap).await;
    entries.extend(bootstrap::load(&dht.settings.nodes_file));
    entries.extend(dht.filter.latest_writers());
    (!entries.is_subset(&current)).then_some(entries)
}

/// Returns the bootstrap hosts as entries for a node that knows others, if one of the hosts responds but is in another part of the
/// network, as after an outage longer than nodes remember each other.
async fn lost_hosts(dht: &Dht, nodes: &[String]) -> Option<BTreeSet<SocketAddrV4>> {
    let known: BTreeSet<SocketAddrV4> = nodes.iter().filter_map(|node| node.parse().ok()).collect();
    let hosts = bootstrap::resolve(&dht.settings.bootstrap).await;
    for host in &hosts {
        if known.contains(host) {
            continue;
        }
        let Some(neighbours) = probe::neighbours(dht.settings.bind, *host).await else { continue };
        // A host that knows a node that we know is in the same network. The list may include our own address.
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

    use super::*;
    use crate::Keyring;
    use crate::dht::DhtSettings;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_whose_port_is_taken_at_the_start_listens_when_it_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let settings = DhtSettings {
            bind: Ipv4Addr::LOCALHOST,
            port,
            public_ip: None,
            bootstrap: Vec::new(),
            max_records: 10,
            nodes_file: directory.path().join("dht-nodes"),
        };
        let dht = Dht::open(settings, Keyring::derive(b"secret", [])).await.unwrap();
        assert!(dht.problem().unwrap().contains(&port.to_string()));
        assert!(dht.status().await.nodes.is_empty());
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(dht.clone(), Timing::default(), stop.clone(), false));
        drop(taken);
        while dht.problem().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(dht.address().port(), port);
        stop.cancel();
        keeping.await.unwrap();
    }

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
        // Another socket takes the port while the node is being replaced.
        dht.running.write().node = None;
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
