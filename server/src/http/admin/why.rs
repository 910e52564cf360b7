//! `GET /v1/caches/NAME/paths/HASH/why`.

use std::sync::Arc;

use admin_api::{ErrorCode, PathWhy};
use catalog::{Fate, Held, UnixTime};
use nix_formats::StorePathHash;
use warp::Filter;

use super::error::{failure, internal, unknown_cache};
use super::paths::parse_hash;
use super::{Answer, reply};
use crate::cache::Cache;
use crate::clock::span;
use crate::http::Route;
use crate::http::state::State;
use crate::jobs::kept_for;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("v1" / "caches" / String / "paths" / String / "why").and(warp::get()).then(
        move |name: String, hash: String| {
            let state = state.clone();
            reply(async move {
                let cache = state.caches().find(&name).ok_or_else(|| unknown_cache(&name))?;
                why(&state, &cache, &parse_hash(&hash)?).await
            })
        },
    )
}

async fn why(state: &State, cache: &Cache, hash: &StorePathHash) -> Answer<PathWhy> {
    let now = UnixTime::now();
    let kept = kept_for(&cache.config(), state.config().server.gc_grace);
    cache.record_uses(&state.catalog).await.map_err(|error| internal(&error))?;
    let census = state.catalog.census(cache.id, now).await.map_err(|error| internal(&error))?;
    let record = state.catalog.find_path(cache.id, hash).await.map_err(|error| internal(&error))?;
    let (Some(fate), Some(record)) = (census.fate(hash), record) else {
        let message = format!("cache `{}` does not hold {hash}", cache.name());
        return Err(failure(ErrorCode::NotFound, message, None));
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

/// One sentence.
fn reason(fate: &Fate, chain: &[String], live: bool, kept: u64, now: UnixTime) -> String {
    let since = |used: UnixTime| span(u64::try_from(now.0 - used.0).unwrap_or(0));
    let root = chain.last().filter(|_| chain.len() > 1);
    let who = match root {
        Some(root) => format!("{root}, which refers to it,"),
        None => "it".to_owned(),
    };
    let kept = span(kept);
    match &fate.held {
        Held::Pin(name) => format!("{who} is pinned as {name}"),
        Held::Agent(name) => {
            format!("{who} is what the deploy agent {name} runs, may go back to, or is told to run")
        }
        Held::Storage => format!("{who} lies on a storage that is not in use, where nothing is removed"),
        Held::Use(used) if live => {
            format!("{who} was pushed or used {} ago, and what is unused is kept for {kept}", since(*used))
        }
        Held::Use(used) => format!(
            "neither it nor what refers to it was used for {}, and what is unused is kept for {kept}: it goes with the \
             next collection",
            since(*used)
        ),
    }
}
