//! The pages of a store path.

pub mod build_log;
pub mod files;
mod listing;
pub mod overview;
pub mod relations;
pub mod why;

use std::sync::Arc;

use catalog::PathRecord;
use nix_formats::StorePathHash;

use super::Visit;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::state::State;

/// Where the pages of a path are.
struct Place {
    /// The page of the cache.
    cache: String,
    /// The page of the path.
    path: String,
}

impl Place {
    fn of(visit: &Visit, cache: &Cache, hash: &StorePathHash) -> Self {
        let cache = visit.to(&format!("cache/{}", cache.name()));
        Self { path: format!("{cache}/path/{hash}"), cache }
    }

    /// The links that lead here.
    fn crumbs(&self, visit: &Visit, cache: &Cache, record: &PathRecord) -> Vec<(String, String)> {
        vec![
            (visit.to(""), "Caches".to_owned()),
            (self.cache.clone(), cache.name().to_owned()),
            (self.path.clone(), record.path.name().to_owned()),
        ]
    }
}

/// Finds a path that clients of the cache see.
async fn find(state: &State, cache: &Arc<Cache>, hash: &StorePathHash) -> Result<PathRecord, HttpError> {
    let record = cache.find_path(&state.catalog.unhurried(), hash).await?;
    record.ok_or_else(|| HttpError::new(http::StatusCode::NOT_FOUND, "The cache does not have this path."))
}
