//! Backends from the configuration.

use std::path::Path;
use std::sync::Arc;

use catalog::StorageId;
use nar_storage::{LocalStorage, ReadCache, S3Credentials, S3Settings, S3Storage, Storage};

use crate::cache::file_name::escape;
use crate::config::{Access, CacheConfig, S3Config, SecretError, StorageConfig, StorageKind};

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
    s3: Option<(Arc<S3Storage>, Option<S3Credentials>)>,
}

impl Backend {
    /// The id in the marker file of a local storage, once that was prepared.
    pub fn marker(&self) -> Option<String> {
        self.local.as_ref()?.marker()
    }

    /// Sets whether other users of the machine are kept from the files.
    pub fn set_private(&self, is_private: bool) {
        if let Some(local) = &self.local {
            local.set_private(is_private);
        }
    }

    /// The backend, if it is local.
    pub(super) fn local(&self) -> Option<&Arc<LocalStorage>> {
        self.local.as_ref()
    }

    /// Whether it is what `kind` describes, with the same credentials wherever they come from.
    pub fn is_at(&self, kind: &StorageKind) -> bool {
        let same_credentials = || match (kind, &self.s3) {
            (StorageKind::S3(s3), Some((_, used))) => credentials(s3).is_ok_and(|now| now == *used),
            _ => true,
        };
        self.config.kind == *kind && same_credentials()
    }
}

/// Where a storage of a cache is, for people and for [`super::RemovedStorage`].
pub fn location(cache: &str, kind: &StorageKind) -> String {
    match kind {
        StorageKind::Local { root } => root.join(cache).display().to_string(),
        StorageKind::S3(s3) => format!("s3://{}/{}", s3.bucket, s3_prefix(cache, s3)),
    }
}

fn s3_prefix(cache: &str, s3: &S3Config) -> String {
    if s3.root.is_empty() { cache.to_owned() } else { format!("{}/{cache}", s3.root) }
}

/// What storages of a daemon have in common.
pub struct Place<'a> {
    /// Where those without a disk of their own have their spools.
    pub state_dir: &'a Path,
    /// Keeps files open that are read again and again.
    pub reads: &'a Arc<ReadCache>,
}

/// Why a storage cannot be opened. One that does not work is opened all the same.
#[derive(Debug, thiserror::Error)]
#[error("storage `{storage}` of cache `{cache}`")]
pub struct OpenStorageError {
    cache: String,
    storage: String,
    source: SecretError,
}

/// Opens the backend of a storage. Asks nobody and creates nothing yet. `marker` is the id that a local storage has had so
/// far; `former` what the storage has been until now, if it is being replaced.
pub async fn open(
    id: StorageId,
    cache: &CacheConfig,
    config: &StorageConfig,
    marker: Option<String>,
    place: &Place<'_>,
    former: Option<&Backend>,
) -> Result<Backend, OpenStorageError> {
    let cache_name = cache.name.as_str();
    let location = location(cache_name, &config.kind);
    let backend = |storage, location| Backend {
        id,
        cache: cache_name.to_owned(),
        config: config.clone(),
        storage,
        location,
        local: None,
        s3: None,
    };
    match &config.kind {
        StorageKind::Local { root } => {
            let root = root.join(cache_name);
            let local =
                Arc::new(LocalStorage::new(config.name.as_str(), root, place.reads).with_marker(marker));
            local.set_private(cache.access == Access::Private);
            Ok(Backend { local: Some(local.clone()), ..backend(local, location) })
        }
        StorageKind::S3(s3) => {
            let settings =
                s3_settings(cache_name, config.name.as_str(), s3, place.state_dir).map_err(|source| {
                    OpenStorageError {
                        cache: cache_name.to_owned(),
                        storage: config.name.as_str().to_owned(),
                        source,
                    }
                })?;
            let credentials = settings.credentials.clone();
            let mut storage = S3Storage::new(settings).await;
            if let Some((former, _)) = former.and_then(|former| former.s3.as_ref()) {
                storage = storage.succeeding(former);
            }
            let storage = Arc::new(storage);
            Ok(Backend { s3: Some((storage.clone(), credentials)), ..backend(storage, location) })
        }
    }
}

/// Reads every secret of the storages of a cache, to see whether that works.
pub fn check_secrets(cache: &CacheConfig) -> Result<(), OpenStorageError> {
    for storage in &cache.storages {
        let StorageKind::S3(s3) = &storage.kind else { continue };
        credentials(s3).map_err(|source| OpenStorageError {
            cache: cache.name.as_str().to_owned(),
            storage: storage.name.as_str().to_owned(),
            source,
        })?;
    }
    Ok(())
}

fn credentials(s3: &S3Config) -> Result<Option<S3Credentials>, SecretError> {
    Ok(match (&s3.access_key, &s3.secret_key) {
        (Some(access_key), Some(secret_key)) => Some(S3Credentials {
            access_key: access_key.resolve()?.expose().trim().to_owned(),
            secret_key: secret_key.resolve()?.expose().trim().to_owned(),
        }),
        _ => None,
    })
}

fn s3_settings(
    cache: &str,
    storage: &str,
    s3: &S3Config,
    state_dir: &Path,
) -> Result<S3Settings, SecretError> {
    let credentials = credentials(s3)?;
    Ok(S3Settings {
        name: storage.to_owned(),
        bucket: s3.bucket.clone(),
        prefix: s3_prefix(cache, s3),
        region: s3.region.clone(),
        endpoint: s3.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned()),
        force_path_style: s3.force_path_style,
        credentials,
        profile: None,
        spool_dir: state_dir.join("spool").join(cache).join(escape(storage)),
        redirect: s3.redirect,
        abandoned_after: S3Settings::ABANDONED_AFTER,
    })
}
