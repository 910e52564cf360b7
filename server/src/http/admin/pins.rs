//! `/v1/pins`.

use std::sync::Arc;

use admin_api::{ApiError, CreatePin, ErrorCode, ListPins, PinInfo, RemovePin, RemovedPins};
use catalog::{Keep, NewPin, PinOutcome, PinRecord};
use nix_formats::{StorePath, StorePathHash};
use warp::Filter;

use super::error::{failure, internal, unknown_cache};
use super::{Answer, body, raw_query, reply};
use crate::cache::Cache;
use crate::http::state::State;
use crate::http::{Route, any_of};

/// Longest name of a pin.
const NAME_LIMIT: usize = 255;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([list(state.clone()).boxed(), create(state.clone()).boxed(), remove(state.clone()).boxed()])
}

fn list(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "pins").and(warp::get()).and(raw_query()).then(move |query: String| {
        let state = state.clone();
        reply(async move {
            let wanted: ListPins = body::query(&query)?;
            let mut pins = Vec::new();
            if let Some(name) = &wanted.cache {
                pins_of(&state, &*find(&state, name)?, &mut pins).await?;
            } else {
                for cache in state.caches().iter() {
                    pins_of(&state, cache, &mut pins).await?;
                }
            }
            Ok(pins)
        })
    })
}

fn create(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "pins").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let state = state.clone();
        reply(async move { add(&state, body::json(stream).await?).await })
    })
}

fn remove(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "pins" / "remove").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let state = state.clone();
        reply(async move {
            let RemovePin { cache, name, revision } = body::json(stream).await?;
            let found = find(&state, &cache)?;
            let removed = state.catalog.remove_pins(found.id, &name, revision).await;
            let removed = removed.map_err(|error| internal(&error))?;
            if removed == 0 {
                let what = revision.map_or(String::new(), |revision| format!(", revision {revision}"));
                return Err(failure(
                    ErrorCode::NotFound,
                    format!("cache `{cache}` has no pin called `{name}`{what}"),
                    Some("`cachectl pin list` shows the pins"),
                ));
            }
            tracing::info!(cache, pin = name, removed, "pin removed");
            Ok(RemovedPins { removed })
        })
    })
}

fn find(state: &State, name: &str) -> Result<Arc<Cache>, ApiError> {
    state.caches().find(name).ok_or_else(|| unknown_cache(name))
}

async fn pins_of(state: &State, cache: &Cache, pins: &mut Vec<PinInfo>) -> Result<(), ApiError> {
    let found = state.catalog.list_pins(cache.id).await.map_err(|error| internal(&error))?;
    pins.extend(found.into_iter().map(|pin| pin_info(cache, pin)));
    Ok(())
}

fn pin_info(cache: &Cache, pin: PinRecord) -> PinInfo {
    let (keep_days, keep_revisions) = match pin.keep {
        Keep::Days(days) => (Some(days), None),
        Keep::Revisions(revisions) => (None, Some(revisions)),
        Keep::All | Keep::Forever => (None, None),
    };
    PinInfo {
        cache: cache.name().to_owned(),
        name: pin.name,
        revision: pin.revision,
        store_path: pin.path.to_full_path(),
        keep_days,
        keep_revisions,
        created_at: pin.created_at.0,
    }
}

async fn add(state: &State, request: CreatePin) -> Answer<PinInfo> {
    let invalid = |message: &str, hint| failure(ErrorCode::Invalid, message, hint);
    let cache = find(state, &request.cache)?;
    if request.name.is_empty()
        || request.name.len() > NAME_LIMIT
        || request.name.chars().any(char::is_control)
    {
        return Err(invalid("a pin's name has 1 to 255 bytes and no control characters", None));
    }
    let keep = match (request.keep_days, request.keep_revisions) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "a pin holds for days or for revisions, not both",
                Some("leave one of them out"),
            ));
        }
        (Some(0), _) | (_, Some(0)) => return Err(invalid("a pin holds for 1 or more", None)),
        (Some(days), None) => Keep::Days(days),
        (None, Some(revisions)) => Keep::Revisions(revisions),
        (None, None) => Keep::Forever,
    };
    let path = path_hash(&request.path)?;
    let new = NewPin { cache: cache.id, name: request.name.clone(), path, artifacts: Vec::new(), keep };
    let revision = match state.catalog.add_pin(new).await.map_err(|error| internal(&error))? {
        PinOutcome::Added { revision } => revision,
        PinOutcome::UnknownPath => {
            let message = format!("cache `{}` does not hold {}", cache.name(), request.path);
            return Err(failure(ErrorCode::NotFound, message, Some("push it first")));
        }
    };
    tracing::info!(cache = cache.name(), pin = request.name, revision, "pin added");
    let pins = state.catalog.list_pins(cache.id).await.map_err(|error| internal(&error))?;
    let pin = pins.into_iter().find(|pin| pin.name == request.name && pin.revision == revision);
    let gone = || failure(ErrorCode::Conflict, "the pin was removed by someone else at the same time", None);
    pin.map(|pin| pin_info(&cache, pin)).ok_or_else(gone)
}

/// The hash of a path as people write it.
fn path_hash(text: &str) -> Result<StorePathHash, ApiError> {
    let base = text.rsplit('/').next().unwrap_or(text);
    StorePath::from_base_name(base).map(|path| *path.hash()).or_else(|_| base.parse()).map_err(|_| {
        failure(
            ErrorCode::Invalid,
            format!("`{text}` is no store path"),
            Some("give a store path or the 32 characters after /nix/store/"),
        )
    })
}
