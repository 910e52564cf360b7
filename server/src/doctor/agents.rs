//! Whether deploy agents can fetch what they are to run.
//!
//! An agent makes the name of the key that it trusts from the host that it connects to, and cannot be given another.

use std::collections::BTreeSet;

use admin_api::{Finding, FindingLevel};

use super::{advise, finding};
use crate::cache::Cache;
use crate::core::Core;

/// What there is to say about the caches of workspaces.
pub(super) fn examine(core: &Core) -> Vec<Finding> {
    let fleet = core.deploy.fleet();
    let names: BTreeSet<&str> = fleet.workspaces().map(|workspace| workspace.cache.as_str()).collect();
    let caches = core.caches();
    names.into_iter().filter_map(|name| caches.find(name)).flat_map(|cache| of_cache(&cache)).collect()
}

fn of_cache(cache: &Cache) -> Vec<Finding> {
    let subject = || format!("agents of {}", cache.name());
    let keys = cache.keys();
    let Some(key) = keys.agent_key(&cache.key_name) else {
        let found =
            finding(FindingLevel::Error, subject(), "the cache has no signing key that they could trust");
        let advice =
            format!("register one with `cachix generate-keypair {}`, and push with it", cache.name());
        return vec![advise(found, advice)];
    };
    let expected = &cache.key_name;
    let text = if key.name() == expected {
        format!("they trust the key {expected}")
    } else {
        format!("they trust the name {expected}, under which {} signs as well", key.name())
    };
    let mut findings = vec![finding(FindingLevel::Ok, subject(), text)];
    for other in keys.agent_names().iter().filter(|name| *name != expected) {
        let text = format!(
            "some connect to another host than that of public-url and look for signatures under {other}; the cache signs \
             under that name until the daemon stops, and again once such an agent has connected"
        );
        let advice = "have them connect to the host of `server.public-url`, so that it holds at any time";
        findings.push(advise(finding(FindingLevel::Warn, subject(), text), advice));
    }
    findings
}
