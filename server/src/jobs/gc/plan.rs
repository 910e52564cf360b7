//! Which paths of a cache may go, and why.

use std::time::Duration;

use catalog::{Catalog, CatalogError, Census, GcPath, PathId, UnixTime};

use super::Options;
use crate::cache::Cache;
use crate::clock::span;
use crate::config::CacheConfig;
use crate::core::Core;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// What is to be done in a cache.
pub(in crate::jobs) struct Plan {
    pub(super) census: Census,
    /// How many paths may go.
    pub(super) count: usize,
    /// How many of them may because they are too old.
    expired: usize,
    /// What was used since then stays, also if that becomes known only now.
    pub(super) unused_since: UnixTime,
    pub(super) now: UnixTime,
    /// Whether room is needed at once, however lately the paths were used.
    pub(super) for_room: bool,
}

/// How long what nobody uses is kept, in seconds: the retention, but not less than the grace.
pub fn kept_for(config: &CacheConfig, grace: Duration) -> u64 {
    (u64::from(config.retention) * DAY).max(grace.as_secs())
}

/// The time so many seconds before.
fn before(now: UnixTime, seconds: u64) -> UnixTime {
    UnixTime(now.0.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

impl Plan {
    pub(super) async fn make(
        core: &Core,
        cache: &Cache,
        options: Options,
        now: UnixTime,
    ) -> Result<Self, CatalogError> {
        let grace = core.config().server.gc_grace;
        let kept = match options.older_than {
            Some(seconds) => seconds.max(grace.as_secs()),
            None => kept_for(&cache.config(), grace),
        };
        cache.record_uses(&core.catalog).await?;
        let census = core.catalog.census(cache.id, now).await?;
        let cutoff = before(now, kept);
        let expired = census.unused_since(cutoff);
        let (count, unused_since) = match options.to_size {
            None => (expired, cutoff),
            Some(target) => {
                // What was used in this very second may go as well, where room is needed at once.
                let cutoff =
                    if options.for_room { UnixTime(now.0 + 1) } else { before(now, grace.as_secs()) };
                (census.to_size(expired, target, cutoff), cutoff)
            }
        };
        Ok(Self { census, count, expired, unused_since, now, for_room: options.for_room })
    }

    /// Why these paths may go, of which the first is number `first` of those that may.
    pub(super) async fn reasons(
        &self,
        catalog: &Catalog,
        cache: &Cache,
        paths: &[GcPath],
        first: usize,
    ) -> Result<Vec<String>, CatalogError> {
        let ids: Vec<PathId> = paths.iter().map(|path| path.id).collect();
        let names = catalog.paths_by_id(&ids).await?;
        let mut reasons = Vec::with_capacity(paths.len());
        for (number, path) in (first..).zip(paths) {
            // It may have been removed or made anew since.
            let Some(name) = names.get(&path.id) else { continue };
            let unused = self.census.last_use_of(number).map_or(0, |used| self.now.0 - used.0);
            let unused = span(u64::try_from(unused).unwrap_or(0));
            let why = if number < self.expired { "" } else { "; the cache is too large" };
            let path = format!("{}/{}", cache.name(), name.base_name());
            reasons.push(format!("{path}: unused for {unused}, and so is everything that refers to it{why}"));
        }
        Ok(reasons)
    }
}
