//! Why garbage collection keeps a path, or does not.

use admin_api::{ExplainPath, PathWhy};
use catalog::{Fate, Held, UnixTime};

use super::Answer;
use super::caches::find;
use super::error::internal;
use super::paths::{parse_hash, unknown_path};
use crate::clock::span;
use crate::http::state::State;
use crate::jobs::kept_for;

pub(in crate::http) async fn explain(state: &State, request: ExplainPath) -> Answer<PathWhy> {
    let cache = find(state, &request.cache)?;
    let hash = &parse_hash(&request.hash)?;
    let now = UnixTime::now();
    let kept = kept_for(&cache.config(), state.config().server.gc_grace);
    cache.record_uses(&state.catalog).await.map_err(|error| internal(&error))?;
    let census = state.catalog.census(cache.id, now).await.map_err(|error| internal(&error))?;
    let record = state.catalog.find_path(cache.id, hash).await.map_err(|error| internal(&error))?;
    let (Some(fate), Some(record)) = (census.fate(hash), record) else {
        return Err(unknown_path(&cache, &request.hash));
    };
    let goes_at =
        census.last_use(hash).map(|used| used.0.saturating_add(i64::try_from(kept).unwrap_or(i64::MAX)));
    let live = goes_at.is_none_or(|time| time >= now.0);
    let mut chain = Vec::with_capacity(fate.chain.len());
    for hash in &fate.chain {
        let found = state.catalog.find_path(cache.id, hash).await.map_err(|error| internal(&error))?;
        chain.push(found.map_or_else(|| hash.to_string(), |record| record.path.base_name()));
    }
    Ok(PathWhy {
        store_path: record.path.to_full_path(),
        live,
        reason: reason(&fate, &chain, live, kept, now),
        chain,
        goes_at,
    })
}

/// Returns the reason in one sentence.
fn reason(fate: &Fate, chain: &[String], live: bool, kept: u64, now: UnixTime) -> String {
    let since = |used: UnixTime| span(u64::try_from(now.0 - used.0).unwrap_or(0));
    let root = chain.last().filter(|_| chain.len() > 1);
    let root = match root {
        Some(root) => format!("{root}, which refers to it,"),
        None => "it".to_owned(),
    };
    let kept = span(kept);
    match &fate.held {
        Held::Pin(name) => format!("{root} is pinned as {name}"),
        Held::Agent(name) => {
            format!("{root} is what the deploy agent {name} runs, will run, or can roll back to")
        }
        Held::Cache(name) => format!("{root} is needed by closures of the cache {name}"),
        Held::Storage => {
            format!("{root} is on a storage that is not in the config, where nothing is removed")
        }
        Held::Use(used) if live => {
            format!("{root} was pushed or used {} ago, and unused paths are kept for {kept}", since(*used))
        }
        Held::Use(used) => format!(
            "unused for {}, and so is every path that refers to it; unused paths are kept for {kept}: the next \
             collection removes it",
            since(*used)
        ),
    }
}
