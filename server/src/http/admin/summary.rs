//! Caches and storages as the admin API shows them.

use admin_api::{ApiError, CacheSummary, StorageKind, StorageState, StorageSummary};
use catalog::CacheRecord;

use super::Answer;
use super::error::internal;
use crate::app::App;
use crate::cache::{Cache, CacheStorage};
use crate::config::{self, Access, SigningMode};

/// Every known cache, the enabled ones first.
pub async fn cache_summaries(app: &App) -> Answer<Vec<CacheSummary>> {
    let mut summaries = Vec::new();
    for cache in app.caches.iter() {
        summaries.push(cache_summary(app, cache).await?);
    }
    for record in app.caches.disabled() {
        summaries.push(disabled_summary(app, record).await?);
    }
    Ok(summaries)
}

/// A cache that is not served: what it holds is still there.
async fn disabled_summary(app: &App, record: &CacheRecord) -> Answer<CacheSummary> {
    let stats = app.catalog.cache_stats(record.id).await.map_err(|error| internal(&error))?;
    Ok(CacheSummary {
        name: record.name.clone(),
        enabled: false,
        access: if record.public { admin_api::Access::Public } else { admin_api::Access::Private },
        // A cache that is gone from the file has taken its storages along, so all its paths are hidden.
        paths: stats.paths + stats.hidden_paths,
        file_bytes: stats.file_bytes,
        nar_bytes: stats.nar_bytes,
        url: String::new(),
        public_keys: Vec::new(),
        signing: admin_api::Signing::Auto,
    })
}

/// A cache in one line.
pub async fn cache_summary(app: &App, cache: &Cache) -> Answer<CacheSummary> {
    let stats = app.catalog.cache_stats(cache.id).await.map_err(|error| internal(&error))?;
    Ok(CacheSummary {
        name: cache.name().to_owned(),
        enabled: cache.config.enabled,
        access: match cache.config.access {
            Access::Public => admin_api::Access::Public,
            Access::Private => admin_api::Access::Private,
        },
        paths: stats.paths,
        file_bytes: stats.file_bytes,
        nar_bytes: stats.nar_bytes,
        url: app.origin.cache_url(cache, Some(&app.config.server.hostname)),
        public_keys: cache.keys().published().iter().map(ToString::to_string).collect(),
        signing: match cache.config.signing {
            SigningMode::Auto => admin_api::Signing::Auto,
            SigningMode::Server => admin_api::Signing::Server,
            SigningMode::Client => admin_api::Signing::Client,
        },
    })
}

/// The storages of a cache, each looked at as it is now.
pub async fn storage_summaries(app: &App, cache: &Cache) -> Result<Vec<StorageSummary>, ApiError> {
    let mut summaries = Vec::with_capacity(cache.storages.len());
    for storage in &cache.storages {
        summaries.push(storage_summary(app, cache, storage).await?);
    }
    let all: u64 = summaries.iter().map(|summary| summary.used_bytes).sum();
    for summary in &mut summaries {
        summary.share_actual = if all > 0 { summary.used_bytes as f64 / all as f64 } else { 0.0 };
    }
    Ok(summaries)
}

async fn storage_summary(app: &App, cache: &Cache, storage: &CacheStorage) -> Answer<StorageSummary> {
    let used_bytes = app.catalog.storage_used(storage.id).await.map_err(|error| internal(&error))?;
    let probed = storage.storage.probe().await;
    let usage = storage.storage.usage().await.ok();
    let (state, last_error) = match probed {
        Ok(()) => (StorageState::Ok, None),
        Err(error) if error.is_full() => (StorageState::Full, Some(error.to_string())),
        Err(error) => (StorageState::Failing, Some(error.to_string())),
    };
    let declared =
        cache.config.storages.iter().find(|declared| declared.name.as_str() == storage.storage.name());
    let draining = declared.is_some_and(|declared| declared.draining);
    let share = declared.and_then(|declared| declared.split).filter(|_| !draining);
    Ok(StorageSummary {
        cache: cache.name().to_owned(),
        name: storage.storage.name().to_owned(),
        kind: match declared.map(|declared| declared.kind.storage_type()) {
            Some(config::StorageType::S3) => StorageKind::S3,
            Some(config::StorageType::Local) | None => StorageKind::Local,
        },
        location: storage.location.clone(),
        state,
        since: None,
        draining,
        last_error,
        used_bytes,
        // Nothing is reserved and nothing counted by storage yet.
        reserved_bytes: 0,
        free_bytes: usage.and_then(|usage| usage.free),
        total_bytes: usage.and_then(|usage| usage.total),
        max_bytes: declared.and_then(|declared| declared.max_size),
        share_wanted: (cache.config.storage_strategy == config::Strategy::Split)
            .then(|| share.map_or(0.0, |percent| f64::from(percent) / 100.0)),
        share_actual: 0.0,
        nars: 0,
        damaged: 0,
    })
}
