//! Backends from the configuration.

use std::path::Path;
use std::sync::Arc;

use catalog::StorageId;
use nar_storage::{LocalStorage, ReadCache, S3Credentials, S3Settings, S3Storage, Storage};

use crate::cache::file_name::escape;
use crate::config::{CacheConfig, S3Config, SecretError, StorageConfig, StorageKind};

/// A backend with what is known of its storage.
pub struct Backend {
    /// Its row in the catalog.
    pub id: StorageId,
    /// The cache it belongs to.
    pub cache: String,
    /// What the configuration says about it.
    pub config: StorageConfig,
    /// The backend.
    pub storage: Arc<dyn Storage>,
    /// Where it is, for people.
    pub location: String,
    local: Option<Arc<LocalStorage>>,
}

impl Backend {
    /// The id in the marker file of a local storage, once that was prepared.
    pub fn marker(&self) -> Option<String> {
        self.local.as_ref()?.marker()
    }
}

/// Why a storage cannot be opened. One that does not work is opened all the same.
#[derive(Debug, thiserror::Error)]
#[error("storage `{storage}` of cache `{cache}`: {source}")]
pub struct OpenStorageError {
    cache: String,
    storage: String,
    source: SecretError,
}

/// Opens the backend of a storage. Asks nobody and creates nothing yet. `marker` is the id that a local storage has had so
/// far.
pub async fn open(
    id: StorageId,
    cache: &CacheConfig,
    config: &StorageConfig,
    marker: Option<String>,
    state_dir: &Path,
    reads: &Arc<ReadCache>,
) -> Result<Backend, OpenStorageError> {
    let cache_name = cache.name.as_str();
    let backend = |storage, location, local| Backend {
        id,
        cache: cache_name.to_owned(),
        config: config.clone(),
        storage,
        location,
        local,
    };
    match &config.kind {
        StorageKind::Local { root } => {
            let root = root.join(cache_name);
            let location = root.display().to_string();
            let local = Arc::new(LocalStorage::new(config.name.as_str(), root, reads).with_marker(marker));
            Ok(backend(local.clone(), location, Some(local)))
        }
        StorageKind::S3(s3) => {
            let settings =
                s3_settings(cache_name, config.name.as_str(), s3, state_dir).map_err(|source| {
                    OpenStorageError {
                        cache: cache_name.to_owned(),
                        storage: config.name.as_str().to_owned(),
                        source,
                    }
                })?;
            let location = format!("s3://{}/{}", settings.bucket, settings.prefix);
            Ok(backend(Arc::new(S3Storage::new(settings).await), location, None))
        }
    }
}

fn s3_settings(
    cache: &str,
    storage: &str,
    s3: &S3Config,
    state_dir: &Path,
) -> Result<S3Settings, SecretError> {
    let credentials = match (&s3.access_key, &s3.secret_key) {
        (Some(access_key), Some(secret_key)) => Some(S3Credentials {
            access_key: access_key.resolve()?.expose().trim().to_owned(),
            secret_key: secret_key.resolve()?.expose().trim().to_owned(),
        }),
        _ => None,
    };
    let prefix = if s3.root.is_empty() { cache.to_owned() } else { format!("{}/{cache}", s3.root) };
    Ok(S3Settings {
        name: storage.to_owned(),
        bucket: s3.bucket.clone(),
        prefix,
        region: s3.region.clone(),
        endpoint: s3.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned()),
        force_path_style: s3.force_path_style,
        credentials,
        spool_dir: state_dir.join("spool").join(cache).join(escape(storage)),
        redirect: s3.redirect,
        abandoned_after: S3Settings::ABANDONED_AFTER,
    })
}
