//! The trash: listed, emptied, and paths restored from it.

use admin_api::{
    ApiError, EmptiedTrash, EmptyTrash, ErrorCode, ListTrash, MAX_PATHS_PER_PAGE, RestorePath, RestoredPaths,
    TrashList, TrashRow,
};
use catalog::{Restored, TrashId};
use nix_formats::StorePath;

use super::Answer;
use super::caches::find;
use super::error::{failure, internal};
use super::paths::{NOT_CONFIGURED, parse_hash, unknown_path};
use crate::cache::Cache;
use crate::http::state::State;

/// The number of paths on a page by default.
const DEFAULT_PAGE: u32 = 1000;

pub(super) async fn list(state: &State, request: ListTrash) -> Answer<TrashList> {
    let cache = find(state, &request.cache)?;
    let limit = request.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PATHS_PER_PAGE);
    let after = request.after.map(|after| after.parse().map(TrashId)).transpose();
    let after = after.map_err(|error| failure(ErrorCode::Invalid, format!("after: {error}"), None))?;
    let found = state.catalog.trashed_paths(cache.id, after, limit.into()).await;
    let found = found.map_err(|error| internal(&error))?;
    let kept = kept_seconds(state);
    let next = found.last().filter(|_| found.len() == limit as usize).map(|last| last.id.0.to_string());
    let row = |path: catalog::TrashedPath| TrashRow {
        cache: cache.name().to_owned(),
        store_path: path.path.to_full_path(),
        file_size: path.file_size,
        storage: cache
            .storage(path.storage)
            .map_or_else(|| NOT_CONFIGURED.to_owned(), |storage| storage.name().to_owned()),
        trashed_at: path.trashed_at.0,
        goes_at: path.trashed_at.0.saturating_add(kept),
        damaged: path.damaged,
    };
    Ok(TrashList { paths: found.into_iter().map(row).collect(), next })
}

/// For how many seconds paths stay in the trash.
pub(super) fn kept_seconds(state: &State) -> i64 {
    let kept = state.config().server.trash.map_or(0, |kept| kept.as_secs());
    i64::try_from(kept).unwrap_or(i64::MAX)
}

pub(super) async fn restore(state: &State, request: RestorePath) -> Answer<RestoredPaths> {
    let cache = find(state, &request.cache)?;
    let hash = parse_hash(&request.hash)?;
    let restored = state.nar_store.restore_path(&cache, hash).await.map_err(|error| internal(&error))?;
    match restored {
        Restored::Done { paths, missing } => {
            let (number, missing_number) = (paths.len(), missing.len());
            tracing::info!(
                cache = cache.name(),
                path = request.hash,
                number,
                missing = missing_number,
                "restored paths"
            );
            let texts = |paths: &[StorePath]| paths.iter().map(StorePath::to_full_path).collect();
            Ok(RestoredPaths { paths: texts(&paths), missing: texts(&missing) })
        }
        refused => Err(refusal(state, &cache, &request.hash, &refused)),
    }
}

/// Why a path cannot be restored, and what to do about it.
fn refusal(state: &State, cache: &Cache, hash: &str, why: &Restored) -> ApiError {
    let name = cache.name();
    match why {
        Restored::Present => failure(
            ErrorCode::Conflict,
            format!("cache `{name}` has {hash}; there is nothing to restore"),
            None,
        ),
        Restored::Damaged => failure(
            ErrorCode::Conflict,
            format!("the file of {hash} is missing or damaged, so it cannot be restored to `{name}`"),
            Some("push the path again"),
        ),
        Restored::OutOfUse(_) => failure(
            ErrorCode::Conflict,
            format!("{hash} is on a storage of `{name}` that is not in the config"),
            Some("add the storage to the config again to restore the path"),
        ),
        Restored::Unknown | Restored::Done { .. } => {
            let hint = match state.config().server.trash {
                Some(_) => "`cachectl trash list` shows what can be restored; push the path again otherwise",
                None => "removed paths are not kept, because `server.trash` is `off`; push the path again",
            };
            let message = format!("{hash} is not in the trash of `{name}` (any more)");
            ApiError { hint: Some(hint.to_owned()), message, ..unknown_path(cache, hash) }
        }
    }
}

pub(super) async fn empty(state: &State, request: EmptyTrash) -> Answer<EmptiedTrash> {
    let cache = find(state, &request.cache)?;
    let emptied = state.nar_store.empty_trash(&cache, None).await.map_err(|error| internal(&error))?;
    let mut postponed = 0;
    for storage in cache.storages().iter() {
        let left = state.catalog.trash_stats(storage.id).await.map_err(|error| internal(&error))?;
        postponed += left.paths;
    }
    let (paths, bytes) = (emptied.paths, emptied.freed.bytes);
    tracing::info!(cache = cache.name(), paths, bytes, postponed, "emptied the trash on request");
    Ok(EmptiedTrash { paths, bytes_freed: bytes, postponed })
}
