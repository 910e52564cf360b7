//! `/v1/peers` and `/v1/dht`. Single records are in `records.rs`.

mod records;

use std::sync::Arc;

use admin_api::{Announcing, ApiError, DhtInfo, ErrorCode, PeerInfo, Ping};
use peer_network::{Network, Peer};
use warp::Filter;

use super::error::failure;
use super::{Answer, body, raw_query, reply};
use crate::http::state::State;
use crate::http::{Route, any_of};

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let of_peers = any_of([peers(state.clone()).boxed(), ping(state.clone()).boxed()]);
    any_of([
        of_peers.boxed(),
        dht(state.clone()).boxed(),
        read(state.clone()).boxed(),
        write(state.clone()).boxed(),
    ])
}

fn peers(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "peers").and(warp::get()).then(move || {
        let state = state.clone();
        reply(async move {
            let peers = network(&state)?.peers();
            let mut peers: Vec<PeerInfo> = peers.values().map(|peer| info(&state, peer)).collect();
            peers.sort_by(|a, b| (&a.url, &a.node).cmp(&(&b.url, &b.node)));
            Ok(peers)
        })
    })
}

fn ping(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "peers" / String / "ping").and(warp::post()).then(move |node: String| {
        let state = state.clone();
        reply(async move {
            let peers = network(&state)?.peers();
            let peer = node.parse().ok().and_then(|node| peers.get(&node)).ok_or_else(|| {
                let hint = Some("`cachectl peer list` shows the nodes");
                failure(ErrorCode::NotFound, format!("no node called `{node}` is known"), hint)
            })?;
            let asked = state.federation.ping(peer).await;
            Ok(Ping {
                node,
                url: peer.description.url.to_string(),
                latency: asked.as_ref().ok().map(microseconds),
                error: asked.err(),
            })
        })
    })
}

fn dht(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "dht").and(warp::get()).then(move || {
        let state = state.clone();
        reply(async move {
            let network = network(&state)?;
            let (dht, announcing) = (network.dht_status().await, network.announcing());
            Ok(DhtInfo {
                node: network.id().to_string(),
                address: dht.address.to_string(),
                problem: dht.problem,
                public_address: dht.public_address.map(|address| address.to_string()),
                nodes: dht.nodes,
                estimated_size: dht.estimated_size as u64,
                announcing: Announcing {
                    waiting: announcing.waiting,
                    round: announcing.round,
                    written: announcing.written,
                    failed: announcing.failed,
                },
            })
        })
    })
}

fn read(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "dht" / "record").and(warp::get()).and(raw_query()).then(move |query: String| {
        let state = state.clone();
        reply(async move { records::read(network(&state)?, body::query(&query)?).await })
    })
}

fn write(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "dht" / "notes").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let state = state.clone();
        reply(async move { records::write(network(&state)?, body::json(stream).await?).await })
    })
}

fn network(state: &State) -> Answer<&Arc<Network>> {
    let alone = || -> ApiError {
        let hint = Some("set `server.standalone: false`, and restart the daemon");
        failure(ErrorCode::Conflict, "this daemon takes part in no network", hint)
    };
    state.federation.network().ok_or_else(alone)
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
        shunned_for: health.breaker_open_for.map(|time| time.as_secs()),
        digest_age: health.digest_age.map(|age| age.as_secs()),
    }
}

fn microseconds(time: &std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
