//! Removing copies that are too many, and those of files that nothing needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use catalog::{CatalogError, CopyRecord, CopyState, NarId, StorageId, UnixTime};
use nar_storage::layout;
use nix_formats::{NarFileName, StorePathHash};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::fail_points::reached;
use crate::nar_store::NarStore;
use crate::nar_store::collect::{Freed, RemoveError};
use crate::nar_store::put::{REMOVAL, REMOVAL_POLL};

/// Copies that are removed at once.
const REMOVED_AT_ONCE: u64 = 64;

impl NarStore {
    /// Removes copies that are too many, or whose files the cache does not have any more, from the storages that answer. Returns how
    /// many went.
    pub async fn remove_leaving_copies(
        &self,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<u64, RemoveError> {
        let mut removed = 0;
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            if self.is_ahead(storage).await? {
                continue;
            }
            let mut after = None;
            while !stop.is_cancelled() {
                let now = UnixTime::now();
                let page = self.catalog.claim_leaving_copies(storage.id, after, REMOVED_AT_ONCE, now).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                let went = self.remove_copies(cache, storage, &page).await?;
                removed += went;
                if went == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn remove_copies(
        &self,
        cache: &Arc<Cache>,
        storage: &Arc<CacheStorage>,
        copies: &[CopyRecord],
    ) -> Result<u64, RemoveError> {
        reached("copies-leaving");
        let (mut gone, mut kept, mut needed, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for copy in copies {
            let name = NarFileName { file_hash: copy.file_hash, compression: copy.compression };
            let _storing = self.locks.lock(cache.id, copy.file_hash).await;
            if let Some(nar) = copy.nar {
                if !self.others_are_there(cache, nar, storage, &name, copy.file_size).await? {
                    needed.push(copy.id);
                    continue;
                }
                for record in self.catalog.paths_with_nar(nar).await? {
                    remove_description(storage, record.path.hash()).await;
                }
            }
            match storage.storage.delete(&layout::nar_key(&name)).await {
                Ok(_) => {
                    keys.push(layout::nar_key(&name));
                    gone.push((copy.id, copy.file_size));
                }
                Err(error) => {
                    storage.failed(&error);
                    kept.push(copy.id);
                }
            }
        }
        if let Err(error) = storage.storage.sync(&keys).await {
            storage.failed(&error);
        }
        reached("copies-removed");
        if !kept.is_empty() {
            self.catalog.keep_leaving_copies(kept).await?;
        }
        if !needed.is_empty() {
            self.catalog.retain_copies(needed).await?;
        }
        self.catalog.forget_copies(gone.iter().map(|(id, _)| *id).collect()).await?;
        for (_, size) in &gone {
            cache.storages().removed(storage.id, *size);
        }
        if !gone.is_empty() {
            cache.nars.forget_all();
            self.touch(storage);
        }
        Ok(gone.len() as u64)
    }

    /// Whether all copies that are to stay are there, as far as their sizes tell. One that is not is to be replaced.
    async fn others_are_there(
        &self,
        cache: &Arc<Cache>,
        nar: NarId,
        leaving: &CacheStorage,
        name: &NarFileName,
        size: u64,
    ) -> Result<bool, CatalogError> {
        let Some(home) = self.catalog.find_nar(cache.id, &name.file_hash).await? else { return Ok(true) };
        if home.id != nar || home.damaged {
            return Ok(false);
        }
        let mut there = 0;
        for place in cache.places_of(&self.catalog, &home).await? {
            let Some(storage) = cache.storage(place).filter(|storage| storage.id != leaving.id) else {
                continue;
            };
            if storage.liveness.is_lost() {
                continue;
            }
            match storage.storage.head(&layout::nar_key(name)).await {
                Ok(Some(found)) if found == size => there += 1,
                Ok(_) => {
                    cache.hide_nar(&self.catalog, (nar, place), name, "it is missing").await?;
                }
                Err(error) => storage.failed(&error),
            }
        }
        Ok(there >= u64::from(cache.config().copies.max(1)))
    }

    /// Removes the further copies of files that nothing needs, from the storages that answer. The caller holds the locks of the files.
    pub(in crate::nar_store) async fn remove_copies_of(
        &self,
        cache: &Cache,
        nars: &[NarId],
    ) -> Result<Freed, CatalogError> {
        let mut freed = Freed::default();
        let mut by_storage: HashMap<StorageId, Vec<CopyRecord>> = HashMap::new();
        for copy in self.catalog.copies_of(nars).await?.into_values().flatten() {
            // Whoever is making one finds out that it is not needed.
            if let Some(storage) = copy.storage.filter(|_| copy.state != CopyState::Copying) {
                by_storage.entry(storage).or_default().push(copy);
            }
        }
        let mut gone = Vec::new();
        for (storage, copies) in by_storage {
            let Some(storage) = cache.storage(storage).filter(|storage| !storage.liveness.is_lost()) else {
                continue;
            };
            if self.is_ahead(&storage).await? {
                continue;
            }
            let mut keys = Vec::new();
            for copy in copies {
                let name = NarFileName { file_hash: copy.file_hash, compression: copy.compression };
                let key = layout::nar_key(&name);
                match storage.storage.delete(&key).await {
                    Ok(_) => {
                        freed.bytes += copy.file_size;
                        gone.push((copy.id, storage.clone(), copy.file_size));
                        keys.push(key);
                    }
                    // It is tried again as one that is to be removed.
                    Err(error) => {
                        storage.failed(&error);
                        break;
                    }
                }
            }
            if let Err(error) = storage.storage.sync(&keys).await {
                storage.failed(&error);
            }
            self.touch(&storage);
        }
        reached("gc-copies-removed");
        self.catalog.forget_copies(gone.iter().map(|(id, ..)| *id).collect()).await?;
        for (_, storage, size) in gone {
            cache.storages().removed(storage.id, size);
        }
        Ok(freed)
    }

    /// Removes the files beside further copies of paths that were deleted, from the storages that answer.
    pub(in crate::nar_store) async fn remove_beside_copies(
        &self,
        cache: &Arc<Cache>,
    ) -> Result<(), CatalogError> {
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            let mut after = None;
            loop {
                let page = self.catalog.tombstones(storage.id, after, REMOVED_AT_ONCE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                match self.remove_tombstoned(cache, storage, &page).await {
                    Ok(()) => {}
                    Err(RemoveError::Catalog(error)) => return Err(error),
                    Err(RemoveError::Storage(error)) => {
                        storage.failed(&error);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits while a copy of a file is removed from a storage that is to store it anew. Returns whether it may.
    pub(in crate::nar_store) async fn make_way(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        name: &NarFileName,
    ) -> Result<bool, CatalogError> {
        if !cache.has_copies() {
            return Ok(true);
        }
        let deadline = Instant::now() + REMOVAL;
        while !self.catalog.store_over_leaving(storage.id, name.file_hash).await? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(REMOVAL_POLL).await;
        }
        Ok(true)
    }
}

/// Removes the files beside the NAR of a path from a storage where the path is not any more. What stays is found by an fsck.
pub(super) async fn remove_description(storage: &CacheStorage, path: &StorePathHash) {
    for key in [layout::narinfo_key(path), layout::listing_key(path)] {
        if let Err(error) = storage.storage.delete(&key).await {
            tracing::debug!(error = %chain(&error), "could not remove a file beside a copy");
        }
    }
}
