//! Other nodes and upstreams.

use std::collections::BTreeMap;
use std::time::Duration;

use super::all;
use super::samples::Samples;
use crate::core::Core;
use crate::counters::{ASKED_ELSEWHERE, FAILED_ELSEWHERE};
use crate::federation::{UpstreamCondition, UpstreamState};

/// How long the DHT has to say how it is doing.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn collect(core: &Core, samples: &mut Samples) {
    samples.count(&all::ASKED, &[], ASKED_ELSEWHERE.get());
    samples.count(&all::NOT_ANSWERED, &[], FAILED_ELSEWHERE.get());
    for (url, upstreams) in by_url(core.federation.upstream_states(&core.caches())) {
        collect_upstream(&url, &upstreams, samples);
    }
    samples.truth(&all::STANDALONE, &[], core.federation.network().is_none());
    let Some(network) = core.federation.network() else {
        for metric in
            [&all::DHT, &all::DHT_NODES, &all::DHT_RECORDS, &all::BACKLOG, &all::PEERS, &all::PEER_BREAKERS]
        {
            samples.number(metric, &[], 0.0);
        }
        for metric in [&all::ANNOUNCED, &all::NOT_ANNOUNCED, &all::DHT_STORED, &all::DHT_REFUSED] {
            samples.count(metric, &[], 0);
        }
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
    samples.whole(&all::DHT_RECORDS, &[], announcing.round);
    let (stored, refused) = network.dht_served();
    samples.count(&all::DHT_STORED, &[], stored);
    samples.count(&all::DHT_REFUSED, &[], refused);
    samples.count(&all::ANNOUNCED, &[], announcing.written);
    samples.count(&all::NOT_ANNOUNCED, &[], announcing.failed);
}

/// Upstreams that differ only in their credentials have one URL, and so one set of metrics.
fn by_url(states: Vec<UpstreamState>) -> BTreeMap<String, Vec<UpstreamState>> {
    let mut by_url = BTreeMap::<String, Vec<UpstreamState>>::new();
    for state in states {
        by_url.entry(state.url.clone()).or_default().push(state);
    }
    by_url
}

/// Counts something of an upstream.
type Count = fn(&UpstreamState) -> u64;

fn collect_upstream(url: &str, states: &[UpstreamState], samples: &mut Samples) {
    let sum = |count: Count| states.iter().map(count).sum::<u64>();
    let results: [(&str, Count); 6] = [
        ("found", |state| state.found),
        ("absent", |state| state.absent),
        ("remembered", |state| state.remembered),
        ("refused", |state| state.refused),
        ("unusable", |state| state.unusable),
        ("failed", |state| state.failed),
    ];
    for (result, count) in results {
        samples.count(&all::UPSTREAM_LOOKUPS, &[url, result], sum(count));
    }
    samples.count(&all::UPSTREAM_HEDGES, &[url], sum(|state| state.hedged));
    samples.count(&all::UPSTREAM_NARS, &[url], sum(|state| state.nars));
    samples.count(&all::UPSTREAM_BYTES, &[url], sum(|state| state.nar_bytes));
    samples.whole(&all::UPSTREAM_MEMORY, &[url], sum(|state| state.remembered_paths));
    let quarantined = states.iter().map(|state| state.quarantined).max();
    samples.whole(&all::UPSTREAM_QUARANTINE, &[url], quarantined.unwrap_or(0));
    let latency = states.iter().find_map(|state| state.latency);
    samples.number(&all::UPSTREAM_LATENCY, &[url], latency.map_or(f64::NAN, |time| time.as_secs_f64()));
    let is_refusing = states.iter().any(|state| state.condition == UpstreamCondition::Refusing);
    samples.truth(&all::UPSTREAM_REFUSING, &[url], is_refusing);
    samples.truth(&all::BREAKER, &[url], states.iter().any(|state| state.breaker_open_for.is_some()));
}
