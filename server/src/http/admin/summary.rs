//! Caches and storages, as the API shows them.

use std::sync::Arc;

use admin_api::{CacheSummary, CopiesSummary, StorageKind, StorageState, StorageSummary};
use catalog::{CacheRecord, CatalogError, StorageCopies, StorageRecord, UnixTime};
use nar_storage::{Health, StorageSnapshot};

use super::Answer;
use super::error::internal;
use super::paths::NOT_CONFIGURED;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, blocking};
use crate::config::{self, Access, SigningMode};
use crate::http::state::State;

/// Returns every known cache, the enabled ones first.
pub async fn cache_summaries(state: &State) -> Answer<Vec<CacheSummary>> {
    let mut summaries = Vec::new();
    for cache in state.caches().iter() {
        summaries.push(cache_summary(state, cache).await?);
    }
    for record in state.caches().disabled() {
        summaries.push(disabled_summary(state, record).await?);
    }
    Ok(summaries)
}

/// Returns a cache that is not served. What it holds is still there.
async fn disabled_summary(state: &State, record: &CacheRecord) -> Answer<CacheSummary> {
    let stats = state.catalog.cache_stats(record.id).await.map_err(|error| internal(&error))?;
    Ok(CacheSummary {
        name: record.name.clone(),
        enabled: false,
        access: if record.public { admin_api::Access::Public } else { admin_api::Access::Private },
        // The storages of a cache that was removed from the config are disabled too, so all its paths are hidden.
        paths: stats.paths + stats.hidden_paths,
        file_bytes: stats.file_bytes,
        nar_bytes: stats.nar_bytes,
        url: String::new(),
        public_keys: Vec::new(),
        signing: admin_api::Signing::Server,
        gc_held_back: 0,
        copies: None,
    })
}

/// Returns the figures of a cache that is served.
pub async fn cache_summary(state: &State, cache: &Cache) -> Answer<CacheSummary> {
    let stats = state.catalog.cache_stats(cache.id).await.map_err(|error| internal(&error))?;
    let copies = copies_summary(state, cache).await.map_err(|error| internal(&error))?;
    Ok(CacheSummary {
        name: cache.name().to_owned(),
        enabled: cache.config().enabled,
        access: match cache.config().access {
            Access::Public => admin_api::Access::Public,
            Access::Private => admin_api::Access::Private,
        },
        paths: stats.paths,
        file_bytes: stats.file_bytes,
        nar_bytes: stats.nar_bytes,
        url: state.origin.cache_url(cache, None),
        public_keys: cache.keys().published().iter().map(ToString::to_string).collect(),
        signing: match cache.config().signing {
            SigningMode::Auto => admin_api::Signing::Auto,
            SigningMode::Server => admin_api::Signing::Server,
            SigningMode::Client => admin_api::Signing::Client,
        },
        gc_held_back: cache.held_collection.read().map_or(0, |held| held.paths),
        copies,
    })
}

/// Returns the further copies of the files of a cache, if there are to be any.
pub async fn copies_summary(state: &State, cache: &Cache) -> Result<Option<CopiesSummary>, CatalogError> {
    if !cache.has_copies() {
        return Ok(None);
    }
    let counts = state.catalog.copy_counts(cache.id).await?;
    Ok(Some(CopiesSummary {
        wanted: cache.config().copies.max(1),
        there: counts.there,
        there_bytes: counts.there_bytes,
        missing: counts.missing,
        missing_bytes: counts.missing_bytes,
        exposed: counts.exposed,
        damaged: counts.damaged,
        leaving: counts.leaving,
        leaving_bytes: counts.leaving_bytes,
        seconds_left: cache.copying.time_for(counts.missing_bytes).map(|left| left.as_secs()),
    }))
}

/// Returns the storages of a cache as they were last probed; no request goes to them.
pub async fn storage_summaries(state: &State, cache: &Cache) -> Answer<Vec<StorageSummary>> {
    let snapshots = cache.storages().snapshot();
    let mut summaries = Vec::with_capacity(snapshots.len());
    for storage in cache.storages().iter() {
        let Some(snapshot) = snapshots.iter().find(|snapshot| &*snapshot.name == storage.name()) else {
            continue;
        };
        summaries.push(storage_summary(state, cache, storage, snapshot).await?);
    }
    for record in cache.removed_storages().iter() {
        summaries.extend(former_storage_summary(state, cache, record).await?);
    }
    Ok(summaries)
}

/// Returns a storage that is no longer in the config, if files are still there.
async fn former_storage_summary(
    state: &State,
    cache: &Cache,
    record: &StorageRecord,
) -> Answer<Option<StorageSummary>> {
    let stats = state.catalog.storage_stats(record.id).await.map_err(|error| internal(&error))?;
    let is_s3 = record.kind == config::StorageType::S3.as_str();
    Ok((stats.nars > 0).then(|| StorageSummary {
        cache: cache.name().to_owned(),
        name: record.name.clone(),
        kind: if is_s3 { StorageKind::S3 } else { StorageKind::Local },
        location: NOT_CONFIGURED.to_owned(),
        state: StorageState::Disabled,
        since: None,
        draining: false,
        last_error: None,
        used_bytes: stats.file_bytes,
        by_product_bytes: 0,
        upload_bytes: 0,
        trash_bytes: 0,
        reserved_bytes: 0,
        free_bytes: None,
        total_bytes: None,
        max_bytes: None,
        tier: 0,
        share_wanted: None,
        share_actual: 0.0,
        nars: stats.nars,
        damaged: stats.damaged_nars,
        copies: 0,
        copies_damaged: 0,
    }))
}

/// The bytes of the uploads in the spool of a storage; 0 where they cannot be counted.
async fn spooled(storage: &Arc<CacheStorage>) -> u64 {
    let storage = storage.clone();
    blocking(move || storage.spooled()).await.ok().and_then(Result::ok).unwrap_or(0)
}

async fn storage_summary(
    state: &State,
    cache: &Cache,
    storage: &Arc<CacheStorage>,
    snapshot: &StorageSnapshot,
) -> Answer<StorageSummary> {
    let stats = state.catalog.storage_stats(storage.id).await.map_err(|error| internal(&error))?;
    let trash = state.catalog.trash_stats(storage.id).await.map_err(|error| internal(&error))?;
    let copies = match cache.has_copies() {
        true => state.catalog.storage_copies(storage.id).await.map_err(|error| internal(&error))?,
        false => StorageCopies::default(),
    };
    let condition = storage.condition();
    let usage = condition.usage;
    let stored = snapshot.used.saturating_add(snapshot.by_products);
    let room = snapshot.max_size.map(|max_size| max_size.saturating_sub(stored));
    let lasting = i64::try_from(condition.lasting.as_secs()).unwrap_or(i64::MAX);
    Ok(StorageSummary {
        cache: cache.name().to_owned(),
        name: storage.name().to_owned(),
        kind: match storage.kind() {
            config::StorageType::S3 => StorageKind::S3,
            config::StorageType::Local => StorageKind::Local,
        },
        location: storage.location.clone(),
        used_bytes: snapshot.used,
        by_product_bytes: snapshot.by_products,
        upload_bytes: spooled(storage).await,
        trash_bytes: trash.bytes,
        reserved_bytes: snapshot.reserved,
        max_bytes: snapshot.max_size,
        free_bytes: [usage.free, room].into_iter().flatten().min(),
        total_bytes: [usage.total, snapshot.max_size].into_iter().flatten().min(),
        state: match condition.health {
            Health::Failing => StorageState::Failing,
            Health::Working | Health::MediumFull if snapshot.full => StorageState::Full,
            Health::Working | Health::MediumFull => StorageState::Ok,
        },
        draining: snapshot.draining,
        tier: snapshot.tier,
        share_wanted: snapshot.share_wanted,
        share_actual: snapshot.share_actual,
        nars: stats.nars,
        damaged: stats.damaged_nars,
        copies: copies.there,
        copies_damaged: copies.damaged,
        since: Some(UnixTime::now().0.saturating_sub(lasting)),
        last_error: condition.last_error,
    })
}
