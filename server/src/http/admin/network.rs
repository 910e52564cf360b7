//! `/v1/peers` and `/v1/dht`. Single records are in `records.rs`.

mod records;

use std::sync::Arc;

use admin_api::{Announcing, ApiError, DhtInfo, ErrorCode, PeerInfo, Ping};
use peer_network::{Network, Peer};
use warp::Filter;

use super::error::failure;
use super::{Answer, body, raw_query, reply};
use crate::app::App;
use crate::http::{Route, any_of};

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let of_peers = any_of([peers(app.clone()).boxed(), ping(app.clone()).boxed()]);
    any_of([
        of_peers.boxed(),
        dht(app.clone()).boxed(),
        read(app.clone()).boxed(),
        write(app.clone()).boxed(),
    ])
}

fn peers(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "peers").and(warp::get()).then(move || {
        let app = app.clone();
        reply(async move {
            let peers = network(&app)?.peers();
            let mut peers: Vec<PeerInfo> = peers.values().map(|peer| info(&app, peer)).collect();
            peers.sort_by(|a, b| (&a.url, &a.node).cmp(&(&b.url, &b.node)));
            Ok(peers)
        })
    })
}

fn ping(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "peers" / String / "ping").and(warp::post()).then(move |node: String| {
        let app = app.clone();
        reply(async move {
            let peers = network(&app)?.peers();
            let peer = node.parse().ok().and_then(|node| peers.get(&node)).ok_or_else(|| {
                let hint = Some("`cachectl peer list` shows the nodes");
                failure(ErrorCode::NotFound, format!("no node called `{node}` is known"), hint)
            })?;
            let asked = app.federation.ping(peer).await;
            Ok(Ping {
                node,
                url: peer.description.url.to_string(),
                latency: asked.as_ref().ok().map(microseconds),
                error: asked.err(),
            })
        })
    })
}

fn dht(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "dht").and(warp::get()).then(move || {
        let app = app.clone();
        reply(async move {
            let network = network(&app)?;
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

fn read(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "dht" / "record").and(warp::get()).and(raw_query()).then(move |query: String| {
        let app = app.clone();
        reply(async move { records::read(network(&app)?, body::query(&query)?).await })
    })
}

fn write(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "dht" / "notes").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let app = app.clone();
        reply(async move { records::write(network(&app)?, body::json(stream).await?).await })
    })
}

fn network(app: &App) -> Answer<&Arc<Network>> {
    let alone = || -> ApiError {
        let hint = Some("set `server.standalone: false`, and restart the daemon");
        failure(ErrorCode::Conflict, "this daemon takes part in no network", hint)
    };
    app.federation.network().ok_or_else(alone)
}

fn info(app: &App, peer: &Peer) -> PeerInfo {
    let health = app.federation.health_of(peer);
    PeerInfo {
        node: peer.id.to_string(),
        url: peer.description.url.to_string(),
        caches: peer.description.caches.iter().map(|cache| cache.name.clone()).collect(),
        last_seen: i64::from(peer.description.said.0),
        load: peer.description.load,
        free: peer.description.free,
        latency: health.latency.as_ref().map(microseconds),
        shunned_for: health.shunned_for.map(|time| time.as_secs()),
        digest_age: health.digest_age.map(|age| age.as_secs()),
    }
}

fn microseconds(time: &std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
