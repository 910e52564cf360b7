//! How much the caches hold.

use std::sync::Arc;

use admin_api::{AgeBucket, PathRow, ShowUsage, Usage, UsageBy};
use catalog::UnixTime;

use super::Answer;
use super::caches::find;
use super::error::internal;
use super::paths::row;
use super::physical::physical_usage;
use super::summary::{cache_summary, storage_summaries};
use crate::cache::Cache;
use crate::http::state::State;

/// The most paths that are listed as the largest.
const MAX_LARGEST: u32 = 1000;

const DAY: i64 = 86_400;

/// The days since the last use at which a span begins, and the name of the span.
const SPANS: [(u64, &str); 6] = [
    (0, "last day"),
    (1, "1 to 7 days"),
    (7, "1 to 4 weeks"),
    (28, "4 to 12 weeks"),
    (84, "12 weeks to a year"),
    (365, "more than a year"),
];

pub(super) async fn show(state: &State, request: ShowUsage) -> Answer<Usage> {
    if let Some(name) = &request.cache {
        find(state, name)?;
    }
    let caches = state.caches();
    let caches: Vec<_> = caches
        .iter()
        .filter(|cache| request.cache.as_ref().is_none_or(|name| name == cache.name()))
        .collect();
    let mut usage = Usage::default();
    for cache in &caches {
        if request.by.is_none_or(|by| by == UsageBy::Storage) {
            usage.storages.extend(storage_summaries(state, cache).await?);
        }
        if request.by.is_none_or(|by| by == UsageBy::Cache) {
            usage.caches.push(cache_summary(state, cache).await?);
        }
    }
    if request.by == Some(UsageBy::Age) {
        usage.by_age = by_age(state, &caches).await?;
    }
    if let Some(top) = request.top {
        usage.largest = largest(state, &caches, top.min(MAX_LARGEST)).await?;
    }
    if request.physical == Some(true) {
        usage.physical = Some(physical_usage(state, &caches).await?);
    }
    Ok(usage)
}

async fn by_age(state: &State, caches: &[&Arc<Cache>]) -> Answer<Vec<AgeBucket>> {
    let now = UnixTime::now();
    let ago = |days: u64| {
        UnixTime(now.0.saturating_sub(i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY)))
    };
    let mut buckets = Vec::with_capacity(SPANS.len());
    for (index, (from_days, label)) in SPANS.into_iter().enumerate() {
        let to_days = SPANS.get(index + 1).map(|(days, _)| *days);
        let mut bucket = AgeBucket { label: label.to_owned(), from_days, to_days, paths: 0, bytes: 0 };
        for cache in caches {
            // A path that is used during the count belongs in the first bucket.
            let before = (from_days > 0).then(|| UnixTime(ago(from_days).0 + 1));
            let since = to_days.map(|days| UnixTime(ago(days).0 + 1));
            let totals = state.catalog.path_totals(cache.id, since, before).await;
            let totals = totals.map_err(|error| internal(&error))?;
            bucket.paths += totals.paths;
            bucket.bytes += totals.bytes;
        }
        buckets.push(bucket);
    }
    Ok(buckets)
}

async fn largest(state: &State, caches: &[&Arc<Cache>], top: u32) -> Answer<Vec<PathRow>> {
    let mut rows = Vec::new();
    for cache in caches {
        let lines =
            state.catalog.largest_paths(cache.id, top.into()).await.map_err(|error| internal(&error))?;
        rows.extend(lines.into_iter().map(|line| row(cache, line)));
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.file_size));
    rows.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    Ok(rows)
}
