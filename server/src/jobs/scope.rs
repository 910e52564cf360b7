//! What a job works on.

use std::sync::Arc;

use admin_api::{ApiError, ErrorCode, JobRequest};

use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::core::Core;

/// Storages of caches, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    cache: Option<String>,
    storage: Option<String>,
}

impl Scope {
    /// What a request is about. Refuses names that nothing has.
    pub(super) fn of(core: &Core, request: &JobRequest) -> Result<Self, ApiError> {
        let (cache, storage) = match request {
            JobRequest::Drain { cache, storage } => {
                let cache = match cache {
                    Some(cache) => cache.clone(),
                    None => only_cache_with(core, storage)?,
                };
                (Some(cache), Some(storage.clone()))
            }
            JobRequest::Scrub { cache: None, storage: Some(storage), .. }
            | JobRequest::Fsck { cache: None, storage: Some(storage), .. } => {
                (Some(only_cache_with(core, storage)?), Some(storage.clone()))
            }
            JobRequest::Scrub { cache, storage, .. } | JobRequest::Fsck { cache, storage, .. } => {
                (cache.clone(), storage.clone())
            }
            JobRequest::Rebalance { cache } | JobRequest::Gc { cache, .. } => (cache.clone(), None),
            JobRequest::Backup { .. } => (None, None),
            JobRequest::Import(import) => (Some(import.cache.clone()), None),
            JobRequest::Export(export) => (Some(export.cache.clone()), None),
            JobRequest::DeleteCache { cache } => return Self::of_former(core, cache),
        };
        let scope = Self { cache, storage };
        scope.check(core)?;
        Ok(scope)
    }

    /// A cache that is known and not in use.
    fn of_former(core: &Core, name: &str) -> Result<Self, ApiError> {
        let caches = core.caches();
        if caches.find(name).is_some() {
            return Err(cache_in_use(name));
        }
        if caches.disabled().iter().all(|cache| cache.name != name) {
            let disabled = caches.disabled();
            return Err(ApiError::unknown("cache", name, disabled.iter().map(|cache| cache.name.as_str())));
        }
        Ok(Self { cache: Some(name.to_owned()), storage: None })
    }

    fn check(&self, core: &Core) -> Result<(), ApiError> {
        let Some(name) = &self.cache else { return Ok(()) };
        let caches = core.caches();
        let cache = caches
            .find(name)
            .ok_or_else(|| ApiError::unknown("cache", name, caches.iter().map(|cache| cache.name())))?;
        match &self.storage {
            Some(storage) if cache.storages().find(storage).is_none() => Err(ApiError {
                message: format!("cache `{name}` has no storage called `{storage}`"),
                ..unknown_storage(storage, std::slice::from_ref(&cache))
            }),
            _ => Ok(()),
        }
    }

    /// Whether there is something that both are about.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let meet =
            |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        meet(&self.cache, &other.cache) && meet(&self.storage, &other.storage)
    }

    /// The caches, in the order of the configuration.
    pub(super) fn caches(&self, core: &Core) -> Vec<Arc<Cache>> {
        let wanted = |cache: &&Arc<Cache>| self.cache.as_ref().is_none_or(|name| name == cache.name());
        core.caches().iter().filter(wanted).cloned().collect()
    }

    /// The storages, with their caches.
    pub(super) fn storages(&self, core: &Core) -> Vec<(Arc<Cache>, Arc<CacheStorage>)> {
        let wanted =
            |storage: &&Arc<CacheStorage>| self.storage.as_ref().is_none_or(|name| name == storage.name());
        let mut found = Vec::new();
        for cache in self.caches(core) {
            found.extend(
                cache.storages().iter().filter(wanted).map(|storage| (cache.clone(), storage.clone())),
            );
        }
        found
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        match (&self.cache, &self.storage) {
            (Some(cache), Some(storage)) => format!("{cache}/{storage}"),
            (Some(cache), None) => format!("all storages of {cache}"),
            (None, _) => "everything".to_owned(),
        }
    }
}

fn only_cache_with(core: &Core, storage: &str) -> Result<String, ApiError> {
    let having: Vec<_> = core
        .caches()
        .iter()
        .filter(|cache| cache.storages().find(storage).is_some())
        .map(|cache| cache.name().to_owned())
        .collect();
    match &having[..] {
        [cache] => Ok(cache.clone()),
        [] => Err(ApiError {
            message: format!("no cache has a storage called `{storage}`"),
            ..unknown_storage(storage, &core.caches().iter().cloned().collect::<Vec<_>>())
        }),
        _ => Err(ApiError {
            code: ErrorCode::Invalid,
            message: format!("several caches have a storage called `{storage}`: {}", having.join(", ")),
            hint: Some("pass --cache NAME to choose one".to_owned()),
        }),
    }
}

/// Refuses to delete a cache that is served.
pub(super) fn cache_in_use(name: &str) -> ApiError {
    ApiError {
        code: ErrorCode::Conflict,
        message: format!("cache `{name}` is still in the config: remove or disable it first"),
        hint: Some(
            "remove its entry from the config, or set `enabled: false` there, and run `cachectl reload`"
                .to_owned(),
        ),
    }
}

/// None of these caches has a storage of this name.
fn unknown_storage(name: &str, caches: &[Arc<Cache>]) -> ApiError {
    let storages: Vec<_> =
        caches.iter().flat_map(|cache| cache.storages().iter().cloned().collect::<Vec<_>>()).collect();
    ApiError::unknown("storage", name, storages.iter().map(|storage| storage.name()))
}
