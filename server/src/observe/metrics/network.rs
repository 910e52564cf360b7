//! Other nodes and upstreams.

use std::time::Duration;

use super::all;
use super::samples::Samples;
use crate::core::Core;
use crate::counters::{ASKED_ELSEWHERE, FAILED_ELSEWHERE};

/// How long the DHT has to say how it is doing.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn collect(core: &Core, samples: &mut Samples) {
    samples.count(&all::ASKED, &[], ASKED_ELSEWHERE.get());
    samples.count(&all::NOT_ANSWERED, &[], FAILED_ELSEWHERE.get());
    let mut upstreams: Vec<_> = core
        .caches()
        .iter()
        .flat_map(|cache| cache.config().upstreams.clone())
        .map(|upstream| upstream.url)
        .collect();
    upstreams.sort();
    upstreams.dedup();
    for url in upstreams {
        samples.truth(&all::BREAKER, &[url.as_str()], core.federation.is_left_alone(&url));
    }
    let Some(network) = core.federation.network() else {
        for metric in [&all::DHT, &all::DHT_NODES, &all::BACKLOG, &all::PEERS, &all::PEER_BREAKERS] {
            samples.number(metric, &[], 0.0);
        }
        samples.count(&all::ANNOUNCED, &[], 0);
        samples.count(&all::NOT_ANNOUNCED, &[], 0);
        return;
    };
    let peers = network.peers();
    let is_left_alone = |peer| core.federation.health_of(peer).breaker_open_for.is_some();
    samples.whole(&all::PEERS, &[], peers.len() as u64);
    let left_alone = peers.values().filter(|peer| is_left_alone(*peer)).count();
    samples.whole(&all::PEER_BREAKERS, &[], left_alone as u64);
    samples.truth(&all::DHT, &[], network.dht_problem().is_none());
    let status = tokio::time::timeout(PATIENCE, network.dht_status()).await;
    samples.whole(&all::DHT_NODES, &[], status.map_or(0, |status| status.nodes.len() as u64));
    let announcing = network.announcing();
    samples.whole(&all::BACKLOG, &[], announcing.waiting);
    samples.count(&all::ANNOUNCED, &[], announcing.written);
    samples.count(&all::NOT_ANNOUNCED, &[], announcing.failed);
}
