//! Requests, connections, pushes that were refused.

use super::all;
use super::samples::Samples;
use crate::core::Core;
use crate::counters::requests::{CLASSES, DURATIONS, RequestCounters, UNMATCHED, WITHOUT_CACHE};
use crate::counters::{LIMIT_HITS, PUSH_REFUSALS, RECEIVED_BYTES, SENT_BYTES, TOKEN_REFUSALS};
use crate::listeners::Listeners;

/// A route, as the metrics name it. Its place in the list is its number.
#[derive(Clone, Copy, Debug)]
pub struct RouteName {
    /// Its path pattern.
    pub path: &'static str,
    /// Its first method.
    pub method: &'static str,
    /// Whether it belongs to a cache.
    pub is_of_cache: bool,
}

const NONE: RouteName = RouteName { path: "none", method: "any", is_of_cache: false };

pub(super) fn collect(core: &Core, listeners: &Listeners, routes: &[RouteName], samples: &mut Samples) {
    let of_server = routes.iter().enumerate().filter(|(_, route)| !route.is_of_cache);
    for (number, route) in of_server.chain([(UNMATCHED, &NONE)]) {
        add(&WITHOUT_CACHE, number, route, "", samples);
    }
    for cache in core.caches().iter() {
        for (number, route) in routes.iter().enumerate().filter(|(_, route)| route.is_of_cache) {
            add(&cache.counters.requests, number, route, cache.name(), samples);
        }
    }
    for (number, route) in routes.iter().enumerate().chain([(UNMATCHED, &NONE)]) {
        samples.histogram(&all::DURATION, &[route.path, route.method], &DURATIONS[number]);
    }
    samples.count(&all::RECEIVED, &[], RECEIVED_BYTES.get());
    samples.count(&all::SENT, &[], SENT_BYTES.get());
    PUSH_REFUSALS.read().for_each(|(word, count)| samples.count(&all::REFUSALS, &[word], count));
    TOKEN_REFUSALS.read().for_each(|(word, count)| samples.count(&all::TOKENS_REFUSED, &[word], count));
    LIMIT_HITS.read().for_each(|(word, count)| samples.count(&all::LIMITS, &[word], count));
    samples.whole(&all::CONNECTIONS, &[], listeners.client_connections() as u64);
    samples.whole(&all::MOST_CONNECTIONS, &[], u64::from(core.config().server.max_connections));
    for info in listeners.infos() {
        let purpose = info.purpose_word();
        samples.truth(&all::LISTENER, &[purpose, &info.address], info.error.is_none());
    }
    for certificate in core.tls.certificates() {
        samples.number(&all::CERTIFICATE, &[&certificate.file], certificate.ends as f64);
    }
}

fn add(counters: &RequestCounters, number: usize, route: &RouteName, cache: &str, samples: &mut Samples) {
    for (class, count) in CLASSES.iter().zip(counters.of(number)) {
        samples.count(&all::REQUESTS, &[route.path, route.method, class, cache], count);
    }
}
