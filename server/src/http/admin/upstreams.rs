//! The upstreams of the caches.

use std::time::Duration;

use admin_api::{CheckUpstreams, ListUpstreams, UpstreamCheck, UpstreamInfo, UpstreamUser};

use super::Answer;
use crate::federation::{UpstreamCondition, UpstreamState};
use crate::http::state::State;

pub(in crate::http) async fn list(state: &State, _: ListUpstreams) -> Answer<Vec<UpstreamInfo>> {
    Ok(infos(state))
}

/// Returns every upstream, for the list and for the status.
pub(super) fn infos(state: &State) -> Vec<UpstreamInfo> {
    state.federation.upstream_states(&state.caches()).into_iter().map(info).collect()
}

pub(super) async fn check(state: &State, _: CheckUpstreams) -> Answer<Vec<UpstreamCheck>> {
    let checked = state.federation.check_upstreams().await;
    let check = |(url, answer): (String, Result<Duration, String>)| UpstreamCheck {
        url,
        latency: answer.as_ref().ok().map(microseconds),
        error: answer.err(),
    };
    Ok(checked.into_iter().map(check).collect())
}

fn info(state: UpstreamState) -> UpstreamInfo {
    let caches = state.caches.into_iter();
    UpstreamInfo {
        url: state.url,
        caches: caches.map(|(cache, place)| UpstreamUser { cache, priority: place as u64 }).collect(),
        access: state.access.to_owned(),
        state: match state.condition {
            UpstreamCondition::Unknown => admin_api::UpstreamState::Unknown,
            UpstreamCondition::Ok => admin_api::UpstreamState::Ok,
            UpstreamCondition::Refusing => admin_api::UpstreamState::Refusing,
            UpstreamCondition::LeftAlone => admin_api::UpstreamState::BreakerOpen,
        },
        lookup_timeout_ms: milliseconds(state.lookup_timeout),
        negative_ttl_ms: milliseconds(state.negative_ttl),
        latency: state.latency.as_ref().map(microseconds),
        breaker_open_for: state.breaker_open_for.map(|time| time.as_secs()),
        found: state.found,
        absent: state.absent,
        remembered: state.remembered,
        remembered_paths: state.remembered_paths,
        refused: state.refused,
        unusable: state.unusable,
        failed: state.failed,
        hedged: state.hedged,
        nars: state.nars,
        nar_bytes: state.nar_bytes,
        quarantined: state.quarantined,
        last_error_at: state.last_error.as_ref().map(|error| error.at.0),
        last_error: state.last_error.map(|error| error.message),
    }
}

fn microseconds(time: &Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
