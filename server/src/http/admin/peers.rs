//! The other nodes of the network.

use std::sync::Arc;

use admin_api::{ErrorCode, ListPeers, PeerInfo, Ping, PingPeer};
use peer_network::{Network, Peer};

use super::Answer;
use super::error::failure;
use crate::http::state::State;

pub(in crate::http) async fn list(state: &State, _: ListPeers) -> Answer<Vec<PeerInfo>> {
    let peers = network(state)?.peers();
    let mut peers: Vec<PeerInfo> = peers.values().map(|peer| info(state, peer)).collect();
    peers.sort_by(|a, b| (&a.url, &a.node).cmp(&(&b.url, &b.node)));
    Ok(peers)
}

pub(super) async fn ping(state: &State, PingPeer { node }: PingPeer) -> Answer<Ping> {
    let peers = network(state)?.peers();
    let peer = node.parse().ok().and_then(|node| peers.get(&node)).ok_or_else(|| {
        let hint = Some("`cachectl peer list` shows the nodes");
        failure(ErrorCode::NotFound, format!("there is no node called `{node}`"), hint)
    })?;
    let answer = state.federation.ping(peer).await;
    Ok(Ping {
        node,
        url: peer.description.url.to_string(),
        latency: answer.as_ref().ok().map(microseconds),
        error: answer.err(),
    })
}

/// Returns the network that the daemon belongs to.
pub(super) fn network(state: &State) -> Answer<&Arc<Network>> {
    state.federation.network().ok_or_else(|| {
        let hint = Some("set `server.standalone: false` and restart the daemon");
        failure(ErrorCode::Conflict, "the daemon does not belong to a network", hint)
    })
}

fn info(state: &State, peer: &Peer) -> PeerInfo {
    let health = state.federation.health_of(peer);
    PeerInfo {
        node: peer.id.to_string(),
        url: peer.description.url.to_string(),
        caches: peer.description.caches.iter().map(|cache| cache.name.clone()).collect(),
        last_seen: i64::from(peer.description.said.0),
        load: peer.description.load,
        free: peer.description.free,
        latency: health.latency.as_ref().map(microseconds),
        breaker_open_for: health.breaker_open_for.map(|time| time.as_secs()),
        inventory_age: health.inventory_age.map(|age| age.as_secs()),
    }
}

fn microseconds(time: &std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
