//! `GET /v1/caches/NAME/paths/HASH`.

use std::sync::Arc;

use admin_api::{ErrorCode, PathInfo};
use nar_storage::layout;
use nix_formats::{StorePath, StorePathHash};
use warp::Filter;

use super::error::{failure, internal, unknown_cache};
use super::{Answer, reply};
use crate::app::App;
use crate::cache::Cache;
use crate::cache::publish::nar_file_name;
use crate::http::Route;

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("v1" / "caches" / String / "paths" / String).and(warp::get()).then(
        move |name: String, hash: String| {
            let app = app.clone();
            reply(async move {
                let cache = app.caches().find(&name).ok_or_else(|| unknown_cache(&name))?;
                info(&app, &cache, &hash).await
            })
        },
    )
}

async fn info(app: &App, cache: &Cache, hash: &str) -> Answer<PathInfo> {
    let parsed = parse_hash(hash)?;
    let record = app.catalog.find_path(cache.id, &parsed).await.map_err(|error| internal(&error))?;
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
        deriver: record.deriver,
        signatures: record.signatures,
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
