//! `GET /v1/usage` and `GET /v1/caches/NAME/paths`: what the caches hold.

use std::sync::Arc;

use admin_api::{
    AgeBucket, ApiError, ErrorCode, ListPaths, MAX_PATHS_PER_PAGE, PathList, PathRow, Usage, UsageBy,
    UsageQuery,
};
use catalog::{PathLine, UnixTime};
use nix_formats::StorePathHash;
use warp::Filter;

use super::error::{failure, internal, unknown_cache};
use super::summary::{cache_summary, storage_summaries};
use super::{Answer, body, raw_query, reply};
use crate::cache::Cache;
use crate::http::state::State;
use crate::http::{Route, any_of};

/// Paths of a page if nothing else is asked for.
const PAGE: u32 = 1000;
/// Rows that are looked through at once.
const BATCH: u64 = 10_000;
/// Most paths that are named as the largest.
const MOST_LARGEST: u32 = 1000;

const DAY: i64 = 86_400;

/// Days since the last use at which a span begins, and what people call it.
const SPANS: [(u64, &str); 6] = [
    (0, "last day"),
    (1, "1 to 7 days"),
    (7, "1 to 4 weeks"),
    (28, "4 to 12 weeks"),
    (84, "12 weeks to a year"),
    (365, "more than a year"),
];

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let usage = {
        let state = state.clone();
        warp::path!("v1" / "usage").and(warp::get()).and(raw_query()).then(move |query: String| {
            let state = state.clone();
            reply(async move { usage(&state, body::query(&query)?).await })
        })
    };
    let state = state.clone();
    let list = warp::path!("v1" / "caches" / String / "paths").and(warp::get()).and(raw_query()).then(
        move |name: String, query: String| {
            let state = state.clone();
            reply(async move {
                let cache = state.caches().find(&name).ok_or_else(|| unknown_cache(&name))?;
                list(&state, &cache, body::query(&query)?).await
            })
        },
    );
    any_of([usage.boxed(), list.boxed()])
}

async fn usage(state: &State, wanted: UsageQuery) -> Answer<Usage> {
    if let Some(name) = &wanted.cache
        && state.caches().find(name).is_none()
    {
        return Err(unknown_cache(name));
    }
    let caches = state.caches();
    let caches: Vec<_> =
        caches.iter().filter(|cache| wanted.cache.as_ref().is_none_or(|name| name == cache.name())).collect();
    let mut usage = Usage::default();
    for cache in &caches {
        if wanted.by.is_none_or(|by| by == UsageBy::Storage) {
            usage.storages.extend(storage_summaries(state, cache).await?);
        }
        if wanted.by.is_none_or(|by| by == UsageBy::Cache) {
            usage.caches.push(cache_summary(state, cache).await?);
        }
    }
    if wanted.by == Some(UsageBy::Age) {
        usage.by_age = by_age(state, &caches).await?;
    }
    if let Some(top) = wanted.top {
        usage.largest = largest(state, &caches, top.min(MOST_LARGEST)).await?;
    }
    Ok(usage)
}

async fn by_age(state: &State, caches: &[&Arc<Cache>]) -> Result<Vec<AgeBucket>, ApiError> {
    let now = UnixTime::now();
    let ago = |days: u64| {
        UnixTime(now.0.saturating_sub(i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY)))
    };
    let mut buckets = Vec::with_capacity(SPANS.len());
    for (index, (from_days, label)) in SPANS.into_iter().enumerate() {
        let to_days = SPANS.get(index + 1).map(|(days, _)| *days);
        let mut bucket = AgeBucket { label: label.to_owned(), from_days, to_days, paths: 0, bytes: 0 };
        for cache in caches {
            // A path that is used while we count is as young as can be.
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

async fn largest(state: &State, caches: &[&Arc<Cache>], top: u32) -> Result<Vec<PathRow>, ApiError> {
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

async fn list(state: &State, cache: &Cache, wanted: ListPaths) -> Answer<PathList> {
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, MAX_PATHS_PER_PAGE) as usize;
    let text = wanted.query.map(|text| text.to_lowercase());
    let after = wanted.after.map(|after| after.parse::<StorePathHash>()).transpose();
    let mut after = after.map_err(|error| failure(ErrorCode::Invalid, format!("after: {error}"), None))?;
    let mut paths = Vec::new();
    loop {
        let lines =
            state.catalog.path_lines(cache.id, after, BATCH).await.map_err(|error| internal(&error))?;
        let Some(last) = lines.last() else { return Ok(PathList { paths, next: None }) };
        after = Some(*last.path.hash());
        for line in lines {
            let hash = *line.path.hash();
            if text.as_ref().is_none_or(|text| line.path.base_name().to_lowercase().contains(text)) {
                paths.push(row(cache, line));
            }
            if paths.len() == limit {
                return Ok(PathList { paths, next: Some(hash.to_string()) });
            }
        }
    }
}

fn row(cache: &Cache, line: PathLine) -> PathRow {
    let storage = cache.storage(line.storage).map(|storage| storage.name().to_owned());
    PathRow {
        cache: cache.name().to_owned(),
        store_path: line.path.to_full_path(),
        file_size: line.file_size,
        nar_size: line.nar_size,
        storage: storage.unwrap_or_else(|| "(not configured)".to_owned()),
        created_at: line.created_at.0,
        last_used_at: Some(line.last_used_at.0),
        damaged: line.damaged,
    }
}
