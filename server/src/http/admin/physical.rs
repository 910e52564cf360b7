//! How much lies on the storages, with each file counted once however many caches share it.

use std::sync::Arc;

use admin_api::{PhysicalStorage, PhysicalUsage};
use nar_storage::PhysicalCount;

use super::Answer;
use super::summary::storage_summaries;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::config::StorageKind;
use crate::http::state::State;

/// Counts the files of some caches: those in directories by looking at them, and those in buckets by what the catalog knows, as
/// nothing is shared there.
pub(super) async fn physical_usage(state: &State, caches: &[&Arc<Cache>]) -> Answer<PhysicalUsage> {
    let mut usage = PhysicalUsage::default();
    for place in places(caches) {
        usage.storages.push(count(&place).await);
    }
    for cache in caches {
        let buckets = storage_summaries(state, cache).await?;
        let buckets = buckets.into_iter().filter(|storage| storage.kind == admin_api::StorageKind::S3);
        usage.storages.extend(buckets.map(|storage| PhysicalStorage {
            name: storage.name,
            location: storage.location,
            caches: vec![storage.cache],
            files: storage.nars + storage.copies,
            file_bytes: storage.used_bytes,
            physical_bytes: storage.used_bytes,
            error: None,
        }));
    }
    usage.file_bytes = usage.storages.iter().map(|storage| storage.file_bytes).sum();
    usage.physical_bytes = usage.storages.iter().map(|storage| storage.physical_bytes).sum();
    Ok(usage)
}

/// Storages of caches, by the directory that they lie below.
fn places(caches: &[&Arc<Cache>]) -> Vec<Vec<Arc<CacheStorage>>> {
    let mut places: Vec<Vec<Arc<CacheStorage>>> = Vec::new();
    for cache in caches {
        for storage in cache.storages().iter().filter(|storage| storage.local().is_some()) {
            match places.iter_mut().find(|place| place.iter().any(|other| other.is_beside(storage))) {
                Some(place) => place.push(storage.clone()),
                None => places.push(vec![storage.clone()]),
            }
        }
    }
    places
}

async fn count(place: &[Arc<CacheStorage>]) -> PhysicalStorage {
    let mut names: Vec<&str> = place.iter().map(|storage| storage.name()).collect();
    names.sort_unstable();
    names.dedup();
    let mut usage = PhysicalStorage {
        name: names.join(", "),
        location: place.first().map(|storage| directory_of(storage)).unwrap_or_default(),
        caches: place.iter().map(|storage| storage.cache().to_owned()).collect(),
        files: 0,
        file_bytes: 0,
        physical_bytes: 0,
        error: None,
    };
    let mut counted = PhysicalCount::default();
    for local in place.iter().filter_map(|storage| storage.local()) {
        counted = match local.count_physical(counted).await {
            Ok(counted) => counted,
            Err(error) => {
                usage.error = Some(chain(&error));
                return usage;
            }
        };
    }
    usage.files = counted.files;
    usage.file_bytes = counted.file_bytes;
    usage.physical_bytes = counted.physical_bytes;
    usage
}

/// The directory that the caches have theirs in.
fn directory_of(storage: &CacheStorage) -> String {
    match &storage.config().kind {
        StorageKind::Local { root } => root.display().to_string(),
        StorageKind::S3(_) => storage.location.clone(),
    }
}
