//! Whether new requests should come to this daemon, and what it lacks.
//!
//! Everybody may ask, as often as they like, so the answer is put together from what is in memory, and names no cache, no
//! storage and no path. `cachectl status` and `cachectl doctor` name them.

use nar_storage::Health;
use serde::Serialize;

use crate::core::Core;
use crate::listeners::Listeners;

/// The answer to the question whether new requests should come here.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The worst of the reasons.
    pub status: Level,
    /// Everything that is not as it should be.
    pub reasons: Vec<Reason>,
}

/// How much the daemon can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything.
    Ready,
    /// Everything, with less to fall back on, or on fewer addresses.
    Degraded,
    /// Reads or pushes are refused. Another daemon should get the requests, if there is one.
    Unavailable,
}

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What is affected.
    pub part: Part,
    /// What that means for requests.
    pub status: Level,
    /// A sentence for people.
    pub message: String,
}

/// What a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The daemon is about to end.
    Draining,
    /// The database.
    Catalog,
    /// The storages of all caches.
    Storages,
    /// The addresses that the configuration names.
    Listeners,
}

/// Examines the daemon. Takes microseconds, and asks no storage and no database.
pub fn examine(core: &Core, listeners: &Listeners) -> Readiness {
    let mut reasons = Vec::new();
    if listeners.is_draining() {
        reasons.push(unavailable(Part::Draining, "the daemon is stopping".to_owned()));
    }
    if core.catalog.write_failure().is_some() {
        let message = "the catalog cannot be written, so pushes are refused; paths are still served";
        reasons.push(unavailable(Part::Catalog, message.to_owned()));
    }
    reasons.extend(storages(core));
    let closed = listeners.infos().iter().filter(|info| info.error.is_some()).count();
    if closed > 0 {
        let message = format!("cannot listen on {closed} of the configured addresses; trying again");
        reasons.push(degraded(Part::Listeners, message));
    }
    Readiness::of(reasons)
}

/// What the storages lack.
fn storages(core: &Core) -> Option<Reason> {
    let (mut all, mut failing, mut caches_without) = (0, 0, 0);
    for cache in core.caches().iter() {
        let storages = cache.storages();
        let health = storages.iter().map(|storage| storage.condition().health);
        let (count, lost) = health
            .fold((0, 0), |(count, lost), health| (count + 1, lost + usize::from(health == Health::Failing)));
        all += count;
        failing += lost;
        caches_without += usize::from(count > 0 && lost == count);
    }
    if caches_without > 0 {
        let message =
            format!("{failing} of {all} storages fail, among them all storages of {caches_without} caches");
        Some(unavailable(Part::Storages, message))
    } else if failing > 0 {
        Some(degraded(Part::Storages, format!("{failing} of {all} storages fail; others take over")))
    } else {
        None
    }
}

fn unavailable(part: Part, message: String) -> Reason {
    Reason { part, status: Level::Unavailable, message }
}

fn degraded(part: Part, message: String) -> Reason {
    Reason { part, status: Level::Degraded, message }
}

impl Readiness {
    fn of(reasons: Vec<Reason>) -> Self {
        let status = reasons.iter().map(|reason| reason.status).max().unwrap_or(Level::Ready);
        Self { status, reasons }
    }

    /// Whether another daemon should get the requests.
    pub fn is_unavailable(&self) -> bool {
        self.status == Level::Unavailable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_reason_decides() {
        assert_eq!(Readiness::of(vec![]).status, Level::Ready);
        let closed = || degraded(Part::Listeners, String::new());
        assert!(!Readiness::of(vec![closed()]).is_unavailable());
        let readiness = Readiness::of(vec![unavailable(Part::Catalog, String::new()), closed()]);
        assert!(readiness.is_unavailable());
    }
}
