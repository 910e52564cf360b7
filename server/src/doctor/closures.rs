//! Whether closures are complete, and whether upstreams still have what pushes left out.

use admin_api::{Finding, FindingLevel};
use catalog::CatalogError;

use super::{advise, finding};
use crate::cache::Cache;
use crate::core::Core;

/// Paths that are named.
const NAMED: u64 = 3;

/// What there is to say about the closures of all caches.
pub(super) async fn examine(core: &Core) -> Vec<Finding> {
    let mut findings = Vec::new();
    for cache in core.caches().iter() {
        match of_cache(core, cache).await {
            Ok(found) => findings.extend(found),
            // That it cannot be read is said elsewhere.
            Err(error) => tracing::debug!(cache = cache.name(), %error, "closures were not examined"),
        }
    }
    findings
}

async fn of_cache(core: &Core, cache: &Cache) -> Result<Vec<Finding>, CatalogError> {
    let mut findings = Vec::new();
    let subject = format!("closures of {}", cache.name());
    let count = core.catalog.count_incomplete(cache.id).await?;
    if count > 0 {
        let effect =
            if cache.is_strict() { "hidden from readers" } else { "served, and Nix may fail on them" };
        let mut examples = Vec::new();
        for path in core.catalog.incomplete_paths(cache.id, NAMED).await? {
            let lacks = core.catalog.lacks_of(cache.id, &path.path, 1).await?;
            let lack = lacks.first().map_or_else(|| path.missing.to_string(), |lack| lack.path.base_name());
            examples.push(format!("{} lacks {lack}", path.path.base_name()));
        }
        let (paths, have, are) = if count == 1 { ("path", "has", "is") } else { ("paths", "have", "are") };
        let text = format!(
            "{count} {paths} {have} an incomplete closure and {are} {effect}: {}",
            examples.join("; ")
        );
        let advice = format!(
            "push the missing paths, or add the cache that has them to `upstreams`; `cachectl path info --cache {} PATH` lists what a \
             path lacks",
            cache.name()
        );
        findings.push(advise(finding(FindingLevel::Warn, &*subject, text), advice));
    }
    let gone = core.catalog.gone_elsewhere(cache.id, NAMED).await?;
    if !gone.is_empty() {
        let count = core.catalog.elsewhere_counts(cache.id).await?.missing;
        let named: Vec<String> =
            gone.iter().map(|path| format!("{} at {}", path.path.base_name(), path.source)).collect();
        let (paths, are) = if count == 1 { ("path", "is") } else { ("paths", "are") };
        let text = format!(
            "{count} {paths} that pushes left out, or closures need, {are} gone from where it was seen: {}",
            named.join("; ")
        );
        let advice =
            "push them; with `pin-upstream: true` such paths are fetched and kept while they are there";
        findings.push(advise(
            finding(FindingLevel::Warn, format!("upstreams of {}", cache.name()), text),
            advice,
        ));
    }
    Ok(findings)
}
