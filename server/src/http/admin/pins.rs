//! Pins.

use admin_api::{CreatePin, ErrorCode, ListPins, PinInfo, RemovePin, RemovedPins};
use catalog::{Keep, NewPin, PinOutcome, PinRecord};
use nix_formats::{StorePath, StorePathHash};

use super::Answer;
use super::caches::find;
use super::error::{failure, internal};
use super::paths::PATH_HINT;
use crate::cache::Cache;
use crate::http::state::State;

/// The most bytes in the name of a pin.
const NAME_LIMIT: usize = 255;

pub(super) async fn list(state: &State, request: ListPins) -> Answer<Vec<PinInfo>> {
    let mut pins = Vec::new();
    if let Some(name) = &request.cache {
        pins_of(state, &*find(state, name)?, &mut pins).await?;
    } else {
        for cache in state.caches().iter() {
            pins_of(state, cache, &mut pins).await?;
        }
    }
    Ok(pins)
}

pub(super) async fn remove(state: &State, request: RemovePin) -> Answer<RemovedPins> {
    let RemovePin { cache, name, revision } = request;
    let found = find(state, &cache)?;
    let removed = state.catalog.remove_pins(found.id, &name, revision).await;
    let removed = removed.map_err(|error| internal(&error))?;
    if removed == 0 {
        let pin = match revision {
            Some(revision) => format!("revision {revision} of a pin called `{name}`"),
            None => format!("pin called `{name}`"),
        };
        return Err(failure(
            ErrorCode::NotFound,
            format!("cache `{cache}` has no {pin}"),
            Some("`cachectl pin list` shows the pins"),
        ));
    }
    tracing::info!(cache, pin = name, removed, "pin removed");
    Ok(RemovedPins { removed })
}

pub(super) async fn create(state: &State, request: CreatePin) -> Answer<PinInfo> {
    let invalid = |message: &str, hint| failure(ErrorCode::Invalid, message, hint);
    let cache = find(state, &request.cache)?;
    if request.name.is_empty()
        || request.name.len() > NAME_LIMIT
        || request.name.chars().any(char::is_control)
    {
        return Err(invalid("the name of a pin must have 1 to 255 bytes and no control characters", None));
    }
    let keep = match (request.keep_days, request.keep_revisions) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "a pin is kept for days or for revisions, not both",
                Some("pass only one of the two"),
            ));
        }
        (Some(0), _) | (_, Some(0)) => {
            return Err(invalid("a pin must be kept for at least 1 day or revision", None));
        }
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
    let gone = || failure(ErrorCode::Conflict, "someone else removed the pin at the same time", None);
    pin.map(|pin| pin_info(&cache, pin)).ok_or_else(gone)
}

async fn pins_of(state: &State, cache: &Cache, pins: &mut Vec<PinInfo>) -> Answer<()> {
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
        artifacts: pin.artifacts,
    }
}

/// Returns the hash of a store path in any of its usual forms.
fn path_hash(text: &str) -> Answer<StorePathHash> {
    let base = text.rsplit('/').next().unwrap_or(text);
    StorePath::from_base_name(base)
        .map(|path| *path.hash())
        .or_else(|_| base.parse())
        .map_err(|_| failure(ErrorCode::Invalid, format!("`{text}` is not a store path"), Some(PATH_HINT)))
}
