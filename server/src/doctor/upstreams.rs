//! Whether the upstreams of the caches work, as far as readers have asked them.

use admin_api::{Finding, FindingLevel};

use super::{advise, finding};
use crate::clock::span;
use crate::core::Core;
use crate::federation::{UpstreamCondition, UpstreamState};

/// What there is to say about the upstreams.
pub(super) fn examine(core: &Core) -> Vec<Finding> {
    let states = core.federation.upstream_states(&core.caches());
    let findings: Vec<Finding> = states.iter().filter_map(of_upstream).collect();
    if findings.is_empty() && !states.is_empty() {
        return vec![finding(FindingLevel::Ok, "upstreams", "none of them fails")];
    }
    findings
}

fn of_upstream(state: &UpstreamState) -> Option<Finding> {
    let subject = format!("upstream {}", state.url);
    let error = || state.last_error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
    match state.condition {
        UpstreamCondition::Refusing => {
            let advice = "put credentials that it accepts into the files that the configuration names, then run `cachectl upstream check`";
            Some(advise(finding(FindingLevel::Error, subject, error()), advice))
        }
        UpstreamCondition::LeftAlone => {
            let pause = state.breaker_open_for.map_or(0, |time| time.as_secs());
            let text = format!("it fails, and is left alone for {}: {}", span(pause), error());
            let advice = "readers get 404 for what only this upstream has; it is tried again by itself";
            Some(advise(finding(FindingLevel::Warn, subject, text), advice))
        }
        UpstreamCondition::Unknown | UpstreamCondition::Ok if state.quarantined > 0 => {
            let text = format!("{} of its paths are in quarantine; the last: {}", state.quarantined, error());
            let advice = "it gives other bytes than it signed or promised; tell those who run it";
            Some(advise(finding(FindingLevel::Warn, subject, text), advice))
        }
        UpstreamCondition::Unknown | UpstreamCondition::Ok => None,
    }
}
