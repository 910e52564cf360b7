//! Storages of caches that are not served any more: opened once more, to be emptied.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::StorageRecord;
use nar_storage::{LocalStorage, ReadCache, Storage, StorageError};

use super::{Place, open};
use crate::chain::chain;
use crate::config::{CacheConfig, StorageType};

/// The storage of a cache that is not served.
pub struct RemovedStorage {
    /// The backend.
    pub storage: Arc<dyn Storage>,
    /// Whether the configuration still says where it is.
    pub is_configured: bool,
    local: Option<Arc<LocalStorage>>,
}

impl RemovedStorage {
    /// Finds the storage of a catalog row: where the configuration of its cache, if that is only switched off, says, or else
    /// where a local one was last. The error is for people, and says why it is not found.
    ///
    /// It is not prepared. That fails unless the marker of the storage is there, so nothing is created or taken for it.
    pub async fn find(
        record: &StorageRecord,
        cache: Option<&CacheConfig>,
        state_dir: &Path,
    ) -> Result<Self, String> {
        let reads = ReadCache::new(1);
        let config = cache.and_then(|cache| {
            let config = cache.storages.iter().find(|storage| storage.name.as_str() == record.name)?;
            Some((cache, config))
        });
        let is_local = record.kind == StorageType::Local.as_str();
        if is_local && record.marker.is_none() {
            return Err("it was never used".to_owned());
        }
        if let Some((cache, config)) = config {
            let place = Place { state_dir, reads: &reads };
            let backend = open(record.id, cache, config, record.marker.clone(), &place, None).await;
            let backend = backend.map_err(|error| chain(&error))?;
            let (storage, local) = (backend.storage.clone(), backend.local().cloned());
            return Ok(Self { storage, local, is_configured: true });
        }
        let Some(location) = &record.location else { return Err("its location is not known".to_owned()) };
        if !is_local {
            return Err(format!("the access to {location} is gone from the config"));
        }
        let local = LocalStorage::new(&record.name, PathBuf::from(location), &reads);
        let local = Arc::new(local.with_marker(record.marker.clone()));
        Ok(Self { storage: local.clone(), local: Some(local), is_configured: false })
    }

    /// Removes what is left of the storage when it holds no objects. Returns whether nothing is.
    pub async fn dismantle(&self) -> Result<bool, StorageError> {
        match &self.local {
            Some(local) => local.dismantle().await,
            None => Ok(true),
        }
    }
}
