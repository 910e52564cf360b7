//! Removing NARs that were stored but never recorded: the daemon was killed in between, or a storage stopped answering.
//!
//! Where several daemons share the catalog, another one may be storing the same file: its client was cut off when this
//! daemon died, and pushes again over there. The lock of a file is known to one daemon only, so nothing is removed until
//! such a push must have ended.

use std::time::Duration;

use catalog::{CacheId, CatalogError, CopyState};
use nar_storage::{StorageError, layout};
use nix_formats::NarFileName;
use uuid::Uuid;

use super::NarStore;
use super::intent::Leftover;
use super::relocate::remove_moved;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, Caches};
use crate::cache::{PushError, blocking};
use crate::chain::chain;

/// How long a file is left alone that another daemon might be storing.
const SETTLING: Duration = Duration::from_secs(15 * 60);

/// Why a file that no path needs could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum UnrecordedError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It could not be noted for later.
    #[error(transparent)]
    Note(#[from] PushError),
}

impl NarStore {
    /// Works off the notes of pushes that were never finished. What cannot be dealt with now stays noted.
    ///
    /// The file of an upload that `is_open` stays, as its client may complete it once more.
    pub async fn remove_leftovers(&self, caches: &Caches, is_open: impl Fn(CacheId, Uuid) -> bool) {
        let intents = self.intents.clone();
        let leftovers = match blocking(move || intents.leftovers()).await {
            Ok(Ok(leftovers)) => leftovers,
            Ok(Err(error)) => {
                return tracing::warn!(error = %chain(&error), "could not read the notes of unfinished pushes");
            }
            Err(_) => return,
        };
        for leftover in leftovers {
            self.remove_leftover(caches, leftover, &is_open).await;
        }
    }

    /// Removes a NAR from a storage unless the catalog has it there. Returns whether it was removed; where another daemon
    /// might be storing it, that is noted for later.
    pub async fn remove_unrecorded(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        name: &NarFileName,
    ) -> Result<bool, UnrecordedError> {
        let _storing = self.locks.lock(cache.id, name.file_hash).await;
        let recorded = self.catalog.find_nar(cache.id, &name.file_hash).await?;
        if recorded.is_some_and(|nar| nar.storage == storage.id)
            || self.is_copied_to(cache, storage, name.file_hash).await?
        {
            return Ok(false);
        }
        if self.catalog.is_shared() {
            self.note(cache, storage, name, Uuid::new_v4()).await?.keep();
            return Ok(false);
        }
        Ok(storage.storage.delete(&layout::nar_key(name)).await?)
    }

    async fn remove_leftover(
        &self,
        caches: &Caches,
        leftover: Leftover,
        is_open: &impl Fn(CacheId, Uuid) -> bool,
    ) {
        // Its cache or storage may come back to the configuration, or to life.
        let Some(cache) = caches.find(&leftover.cache) else { return };
        let storages = cache.storages();
        let Some(storage) = storages.find(&leftover.storage) else { return };
        let Ok(name) = NarFileName::parse(&leftover.nar) else { return };
        if storage.liveness.is_lost() || (self.catalog.is_shared() && leftover.age() < SETTLING) {
            return;
        }
        if leftover.upload.is_some_and(|id| is_open(cache.id, id)) {
            return;
        }
        // It may be of a path that the catalog has lost, and the note as old as the catalog.
        match self.is_ahead(storage).await {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                return tracing::warn!(error = %chain(&error), "could not look up an unfinished push");
            }
        }
        // The push may still be under way. Then its note is gone when it is through.
        let _storing = self.locks.lock(cache.id, name.file_hash).await;
        let recorded = match self.catalog.find_nar(cache.id, &name.file_hash).await {
            Ok(recorded) => recorded,
            Err(error) => {
                return tracing::warn!(error = %chain(&error), "could not look up an unfinished push");
            }
        };
        if !leftover.is_noted() {
            return;
        }
        let copy = match cache.has_copies() {
            true => self.catalog.copy_at(storage.id, &name.file_hash).await,
            false => Ok(None),
        };
        match copy {
            Ok(None) => {}
            // Whoever makes it takes the note back, and a claim of a daemon that died expires.
            Ok(Some(CopyState::Copying)) => return,
            // It is a copy like any other.
            Ok(Some(_)) => {
                if let Ok(Err(error)) = blocking(move || leftover.dismiss()).await {
                    tracing::warn!(error = %chain(&error), "could not take back the note of a copy");
                }
                return;
            }
            Err(error) => {
                return tracing::warn!(error = %chain(&error), "could not look up an unfinished push");
            }
        }
        // What is recorded on a storage that is gone from the configuration may be this file: the storage may merely have
        // another name now.
        let lies_elsewhere = |id| id != storage.id && cache.storage(id).is_some();
        if recorded.as_ref().is_none_or(|nar| lies_elsewhere(nar.storage)) {
            let paths = match &recorded {
                Some(nar) => self.catalog.paths_with_nar(nar.id).await,
                None => Ok(Vec::new()),
            };
            let paths: Vec<_> = match paths {
                Ok(paths) => paths.iter().map(|record| *record.path.hash()).collect(),
                Err(error) => {
                    return tracing::warn!(error = %chain(&error), "could not look up an unfinished push");
                }
            };
            match remove_moved(storage, &name, &paths).await {
                Ok(true) => {
                    tracing::info!(cache = cache.name(), nar = %name, "removed what an unfinished push left");
                }
                Ok(false) => {}
                Err(error) => {
                    let cache = cache.name();
                    return tracing::warn!(cache, error = %chain(&error), "could not remove what an unfinished push left");
                }
            }
        }
        if let Ok(Err(error)) = blocking(move || leftover.dismiss()).await {
            tracing::warn!(error = %chain(&error), "could not take back the note of an unfinished push");
        }
    }
}
