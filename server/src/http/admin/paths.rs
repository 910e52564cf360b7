//! Store paths: listed, described, deleted. Why one is kept is in `explain`.

use admin_api::{
    ApiError, DeletePath, DeletedPaths, ErrorCode, ListPaths, MAX_PATHS_PER_PAGE, MissingPath, PathCopy,
    PathInfo, PathList, PathRow, PushedBy, ShowPath,
};
use catalog::{CatalogError, CopyRecord, Deleted, NarId, PathLine, UnixTime};
use nar_storage::layout;
use nix_formats::{StorePath, StorePathHash};

use super::Answer;
use super::caches::find;
use super::error::{failure, internal};
use super::trash::kept_seconds;
use crate::cache::Cache;
use crate::cache::narinfo::{nar_file_name, narinfo};
use crate::http::state::State;
use crate::nar_store::Deletion;

/// How to write a store path.
pub(super) const PATH_HINT: &str = "pass a store path, or the 32 characters after /nix/store/";
/// Takes the place of a storage that is no longer in the config.
pub(super) const NOT_CONFIGURED: &str = "(not configured)";
/// The most missing paths of a closure that are named.
const MOST_MISSING: usize = 100;
/// The number of paths on a page by default.
const DEFAULT_PAGE: u32 = 1000;
/// The number of rows that are read from the catalog at once.
const BATCH: u64 = 10_000;

pub(super) async fn list(state: &State, request: ListPaths) -> Answer<PathList> {
    let cache = find(state, &request.cache)?;
    let limit = request.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PATHS_PER_PAGE) as usize;
    let text = request.query.map(|text| text.to_lowercase());
    let after = request.after.map(|after| after.parse::<StorePathHash>()).transpose();
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
                paths.push(row(&cache, line));
            }
            if paths.len() == limit {
                return Ok(PathList { paths, next: Some(hash.to_string()) });
            }
        }
    }
}

/// A path of a list, as the API shows it.
pub(super) fn row(cache: &Cache, line: PathLine) -> PathRow {
    let storage = cache.storage(line.storage).map(|storage| storage.name().to_owned());
    PathRow {
        cache: cache.name().to_owned(),
        store_path: line.path.to_full_path(),
        file_size: line.file_size,
        nar_size: line.nar_size,
        storage: storage.unwrap_or_else(|| NOT_CONFIGURED.to_owned()),
        created_at: line.created_at.0,
        last_used_at: Some(line.last_used_at.0),
        damaged: line.damaged,
    }
}

async fn pushed_by(state: &State, token: String) -> PushedBy {
    let subject = match token.parse() {
        Ok(id) => state.tokens.find_subject(id).await,
        Err(_) => None,
    };
    PushedBy { token, subject }
}

pub(super) async fn show(state: &State, request: ShowPath) -> Answer<PathInfo> {
    let cache = find(state, &request.cache)?;
    let hash = parse_hash(&request.hash)?;
    let record = state.catalog.find_path(cache.id, &hash).await.map_err(|error| internal(&error))?;
    let record = record.ok_or_else(|| unknown_path(&cache, &request.hash))?;
    let storage = cache.storage(record.nar.storage).map(|storage| storage.storage.name().to_owned());
    let copies = copies_of(state, &cache, record.nar.id).await.map_err(|error| internal(&error))?;
    let pushed_by = match record.pushed_by.clone() {
        Some(token) => Some(pushed_by(state, token).await),
        None => None,
    };
    let missing = state.catalog.lacks_of(cache.id, &record.path, MOST_MISSING).await;
    let missing = missing.map_err(|error| internal(&error))?.into_iter().map(|lack| MissingPath {
        path: lack.path.base_name(),
        needed_by: lack.referrer.base_name(),
        hidden: lack.is_hidden,
    });
    Ok(PathInfo {
        missing: missing.collect(),
        withheld: record.missing_reference.is_some() && cache.is_strict(),
        cache: cache.name().to_owned(),
        store_path: record.path.to_full_path(),
        nar_hash: record.nar.nar_hash.to_prefixed(),
        nar_size: record.nar.nar_size,
        file_hash: record.nar.file_hash.to_prefixed(),
        file_size: record.nar.file_size,
        compression: record.nar.compression.to_string(),
        url: layout::nar_key(&nar_file_name(&record)).to_string(),
        references: record.references.iter().map(StorePath::base_name).collect(),
        signatures: narinfo(&cache, &record).signatures.iter().map(ToString::to_string).collect(),
        deriver: record.deriver,
        storage: storage.unwrap_or_else(|| NOT_CONFIGURED.to_owned()),
        created_at: record.created_at.0,
        last_used_at: Some(record.last_used_at.0),
        pushed_by,
        damaged: record.nar.damaged,
        copies,
    })
}

/// Returns the further copies of a file.
pub async fn copies_of(state: &State, cache: &Cache, nar: NarId) -> Result<Vec<PathCopy>, CatalogError> {
    if !cache.has_copies() {
        return Ok(Vec::new());
    }
    let copies = state.catalog.copies_of(&[nar]).await?.remove(&nar);
    let name =
        |storage| cache.storage(storage).map_or(NOT_CONFIGURED.to_owned(), |known| known.name().to_owned());
    let describe = |copy: CopyRecord| PathCopy {
        storage: copy.storage.map(name),
        state: copy.state.as_str().to_owned(),
        checked_at: copy.checked_at.map(|at| at.0),
    };
    Ok(copies.unwrap_or_default().into_iter().map(describe).collect())
}

pub(super) async fn delete(state: &State, request: DeletePath) -> Answer<DeletedPaths> {
    let cache = find(state, &request.cache)?;
    let path = parse_hash(&request.hash)?;
    let recursive = request.recursive;
    let trash = !request.no_trash && state.config().server.trash.is_some();
    let restorable_until = trash.then(|| UnixTime::now().0.saturating_add(kept_seconds(state)));
    let deletion = state.nar_store.delete_path(&cache, path, recursive, trash).await;
    match deletion.map_err(|error| internal(&error))? {
        Deletion::Done { paths, freed, trashed_bytes, postponed } => {
            let number = paths.len();
            tracing::info!(
                cache = cache.name(),
                path = request.hash,
                number,
                recursive,
                trash,
                "deleted paths"
            );
            let paths = paths.iter().map(StorePath::to_full_path).collect();
            Ok(DeletedPaths {
                paths,
                bytes_freed: freed.bytes,
                bytes_trashed: trashed_bytes,
                restorable_until,
                postponed,
            })
        }
        Deletion::Refused(why) => Err(refusal(&cache, &request.hash, &why)),
    }
}

/// Why a path cannot be deleted, and what to do about it.
fn refusal(cache: &Cache, hash: &str, why: &Deleted) -> ApiError {
    let name = cache.name();
    let conflict = |message: String, hint: &str| failure(ErrorCode::Conflict, message, Some(hint));
    match why {
        Deleted::Unknown | Deleted::Done { .. } => unknown_path(cache, hash),
        Deleted::Needed { by, count } => {
            let named: Vec<String> = by.iter().map(StorePath::base_name).collect();
            let more = match count.saturating_sub(by.len() as u64) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (paths, refer) = if *count == 1 { ("path", "refers") } else { ("paths", "refer") };
            let message =
                format!("{count} {paths} of `{name}` {refer} to {hash}: {}{more}", named.join(", "));
            conflict(message, "pass --recursive to delete these as well, and all paths that refer to them")
        }
        Deleted::Pinned(pins) => {
            let pins: Vec<String> = pins
                .iter()
                .map(|pin| format!("`{}` (revision {}) on {}", pin.name, pin.revision, pin.path.base_name()))
                .collect();
            let message = format!("{hash} is kept in `{name}` by a pin: {}", pins.join(", "));
            conflict(message, "remove the pin first: `cachectl pin remove NAME --revision N`")
        }
        Deleted::Deployed { path, agent } => conflict(
            format!(
                "{hash} is kept in `{name}` for the deploy agent {agent}, which needs {}",
                path.base_name()
            ),
            "activate something else on the agent first, twice, because it can roll back once",
        ),
        Deleted::NeededElsewhere { path, cache: other } => conflict(
            format!(
                "closures of the cache `{other}` need {} of `{name}`, which they rely on",
                path.base_name()
            ),
            "push it to that cache first, or delete there what needs it",
        ),
        Deleted::TooMany(most) => conflict(
            format!("more than {most} paths of `{name}` refer to {hash}"),
            "delete some of these paths first",
        ),
        Deleted::OutOfUse(storage) => {
            let former = cache.removed_storages();
            let storage = former.iter().find(|former| former.id == *storage);
            let storage = storage.map_or_else(String::new, |storage| format!(": {}", storage.name));
            conflict(
                format!("{hash} is on a storage of `{name}` that is not in the config{storage}"),
                "add the storage to the config again to delete files there",
            )
        }
    }
}

/// The cache does not hold a path of this hash.
pub(super) fn unknown_path(cache: &Cache, hash: &str) -> ApiError {
    failure(ErrorCode::NotFound, format!("cache `{}` does not hold {hash}", cache.name()), None)
}

/// Parses the hash in a request.
pub(super) fn parse_hash(hash: &str) -> Answer<StorePathHash> {
    hash.parse().map_err(|error| {
        failure(
            ErrorCode::Invalid,
            format!("`{hash}` is not the hash of a store path: {error}"),
            Some(PATH_HINT),
        )
    })
}
