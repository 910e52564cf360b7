//! `GET /v1/caches/NAME/paths/HASH` and `POST /v1/caches/NAME/paths/HASH/delete`.

use std::sync::Arc;

use admin_api::{ApiError, DeletePath, DeletedPaths, ErrorCode, PathInfo};
use catalog::Deleted;
use nar_storage::layout;
use nix_formats::{StorePath, StorePathHash};
use warp::Filter;

use super::error::{failure, internal, unknown_cache};
use super::{Answer, body, reply};
use crate::cache::Cache;
use crate::cache::narinfo::{nar_file_name, narinfo};
use crate::http::state::State;
use crate::http::{Route, any_of};
use crate::nar_store::Deletion;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([show(state.clone()).boxed(), remove(state.clone()).boxed()])
}

fn show(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "caches" / String / "paths" / String).and(warp::get()).then(
        move |name: String, hash: String| {
            let state = state.clone();
            reply(async move {
                let cache = state.caches().find(&name).ok_or_else(|| unknown_cache(&name))?;
                info(&state, &cache, &hash).await
            })
        },
    )
}

fn remove(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "caches" / String / "paths" / String / "delete")
        .and(warp::post())
        .and(warp::body::stream())
        .then(move |name: String, hash: String, stream| {
            let state = state.clone();
            reply(async move {
                let DeletePath { recursive } = body::json(stream).await?;
                let cache = state.caches().find(&name).ok_or_else(|| unknown_cache(&name))?;
                delete(&state, &cache, &hash, recursive).await
            })
        })
}

async fn delete(state: &State, cache: &Arc<Cache>, hash: &str, recursive: bool) -> Answer<DeletedPaths> {
    let path = parse_hash(hash)?;
    match state.nar_store.delete_path(cache, path, recursive).await.map_err(|error| internal(&error))? {
        Deletion::Done { paths, freed, postponed } => {
            let number = paths.len();
            tracing::info!(cache = cache.name(), path = hash, number, recursive, "paths were deleted");
            let paths = paths.iter().map(StorePath::to_full_path).collect();
            Ok(DeletedPaths { paths, bytes_freed: freed.bytes, postponed })
        }
        Deletion::Refused(why) => Err(refusal(cache, hash, &why)),
    }
}

/// Why a path stays, and what to do about it.
fn refusal(cache: &Cache, hash: &str, why: &Deleted) -> ApiError {
    let name = cache.name();
    let conflict = |message: String, hint: &str| failure(ErrorCode::Conflict, message, Some(hint));
    match why {
        Deleted::Unknown | Deleted::Done(_) => {
            failure(ErrorCode::NotFound, format!("cache `{name}` does not hold {hash}"), None)
        }
        Deleted::Needed { by, count } => {
            let named: Vec<String> = by.iter().map(StorePath::base_name).collect();
            let more = match count.saturating_sub(by.len() as u64) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (paths, refer) = if *count == 1 { ("path", "refers") } else { ("paths", "refer") };
            let message =
                format!("{count} {paths} of `{name}` {refer} to {hash}: {}{more}", named.join(", "));
            conflict(message, "with --recursive these go as well, and what refers to them")
        }
        Deleted::Pinned(pins) => {
            let pins: Vec<String> = pins
                .iter()
                .map(|pin| format!("`{}` (revision {}) on {}", pin.name, pin.revision, pin.path.base_name()))
                .collect();
            let message = format!("{hash} is kept in `{name}` by a pin: {}", pins.join(", "));
            conflict(message, "remove it first: `cachectl pin remove NAME --revision N`")
        }
        Deleted::Deployed { path, agent } => conflict(
            format!(
                "{hash} is kept in `{name}` by the deploy agent {agent}, which needs {}",
                path.base_name()
            ),
            "have the agent run something else first: twice, as it may go back once",
        ),
        Deleted::TooMany(most) => conflict(
            format!("more than {most} paths of `{name}` need {hash}"),
            "delete some of those that refer to it first",
        ),
        Deleted::OutOfUse(storage) => {
            let former = cache.removed_storages();
            let storage = former.iter().find(|former| former.id == *storage);
            let storage = storage.map_or("one", |storage| storage.name.as_str());
            conflict(
                format!("{hash} lies on a storage of `{name}` that is not in the config: {storage}"),
                "put the storage back into the config to delete what is there",
            )
        }
    }
}

async fn info(state: &State, cache: &Cache, hash: &str) -> Answer<PathInfo> {
    let parsed = parse_hash(hash)?;
    let record = state.catalog.find_path(cache.id, &parsed).await.map_err(|error| internal(&error))?;
    let record = record.ok_or_else(|| {
        failure(ErrorCode::NotFound, format!("cache `{}` does not hold {hash}", cache.name()), None)
    })?;
    let storage = cache.storage(record.nar.storage).map(|storage| storage.storage.name().to_owned());
    Ok(PathInfo {
        cache: cache.name().to_owned(),
        store_path: record.path.to_full_path(),
        nar_hash: record.nar.nar_hash.to_prefixed(),
        nar_size: record.nar.nar_size,
        file_hash: record.nar.file_hash.to_prefixed(),
        file_size: record.nar.file_size,
        compression: record.nar.compression.to_string(),
        url: layout::nar_key(&nar_file_name(&record)).to_string(),
        references: record.references.iter().map(StorePath::base_name).collect(),
        signatures: narinfo(cache, &record).signatures.iter().map(ToString::to_string).collect(),
        deriver: record.deriver,
        storage: storage.unwrap_or_else(|| "(not configured)".to_owned()),
        created_at: record.created_at.0,
        last_used_at: Some(record.last_used_at.0),
        damaged: record.nar.damaged,
    })
}

/// Reads the hash in a request.
pub(super) fn parse_hash(hash: &str) -> Answer<StorePathHash> {
    hash.parse().map_err(|error| {
        failure(
            ErrorCode::Invalid,
            format!("`{hash}` is no store path hash: {error}"),
            Some("give a store path or the 32 characters after /nix/store/"),
        )
    })
}
