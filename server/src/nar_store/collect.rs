//! Removing from the storages what garbage collection has taken out of the catalog: first the narinfos, then the files that
//! no path needs.
//!
//! All of it can be repeated: what is gone already counts as removed. A push of the same path or file may come in between
//! at any time. It goes by the catalog, where the path is no more, and which is therefore looked at once more after
//! something was removed.

use std::sync::Arc;

use catalog::{CatalogError, NarId, NarRecord, Tombstone, TombstoneId};
use futures_util::{StreamExt, stream};
use nar_storage::{Key, StorageError, layout};
use nix_formats::{FileHash, NarFileName, StorePathHash};

use super::NarStore;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::fail_points::reached;

/// Objects that are removed at once.
const AT_ONCE: usize = 8;
/// Tombstones, or files, that are looked up at once.
const PAGE: u64 = 200;

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The storage failed. What it did not remove is left for another time.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was removed from a storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl NarStore {
    /// Removes the files beside the NARs of paths with tombstones from the storage, and their tombstones.
    pub async fn remove_tombstoned(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        tombstones: &[Tombstone],
    ) -> Result<(), RemoveError> {
        if self.is_ahead(storage).await? {
            return Ok(());
        }
        let hashes: Vec<StorePathHash> = tombstones.iter().map(|tombstone| tombstone.hash).collect();
        let back = self.living_on(cache, storage, &hashes).await?;
        let gone: Vec<StorePathHash> = hashes.iter().filter(|hash| !back.contains(hash)).copied().collect();
        // The narinfo first, so that whoever reads the storage directly never finds one without what belongs to it.
        let (narinfos, listings): (Vec<Key>, Vec<Key>) =
            gone.iter().map(|hash| (layout::narinfo_key(hash), layout::listing_key(hash))).unzip();
        delete_all(storage, &narinfos).await.into_iter().collect::<Result<(), _>>()?;
        reached("gc-narinfos-removed");
        // Before the listings, which say what there is.
        self.remove_links(cache, storage, &gone).await?;
        reached("gc-links-removed");
        delete_all(storage, &listings).await.into_iter().collect::<Result<(), _>>()?;
        reached("gc-listings-removed");
        storage.storage.sync(&[narinfos, listings].concat()).await?;
        // Paths that were pushed meanwhile, or before a crash, may have lost what was just written.
        let back = self.living_on(cache, storage, &hashes).await?;
        if !back.is_empty() {
            self.catalog.mark_unpublished(cache.id, &back).await?;
            self.publisher.publish_again();
        }
        let done: Vec<TombstoneId> = tombstones.iter().map(|tombstone| tombstone.id).collect();
        self.remove_logs_of(cache, &done).await?;
        self.remove_realisations(cache, &gone).await?;
        self.catalog.remove_tombstones(done).await?;
        self.touch(storage);
        reached("gc-tombstones-removed");
        Ok(())
    }

    /// Those of the paths that the cache has, on this storage.
    async fn living_on(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        hashes: &[StorePathHash],
    ) -> Result<Vec<StorePathHash>, CatalogError> {
        let homes = self.catalog.path_homes(cache.id, hashes).await?;
        let mut living: Vec<StorePathHash> =
            homes.into_iter().filter(|(_, home)| home.storage == storage.id).map(|(hash, _)| hash).collect();
        if cache.has_copies() {
            living.extend(self.catalog.paths_copied_to(cache.id, storage.id, hashes).await?);
        }
        Ok(living)
    }

    /// Removes files from the storage that no path needs. The error is of those that could not be removed.
    pub async fn remove_unneeded(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        nars: &[NarRecord],
    ) -> Result<(Freed, Option<StorageError>), CatalogError> {
        // In one order, so that a collection and a deletion never wait for each other. Sharing holds more than one as well, in the
        // order of caches and then of hashes, with which this agrees.
        let mut hashes: Vec<FileHash> = nars.iter().map(|nar| nar.file_hash).collect();
        hashes.sort_unstable_by_key(|hash| *hash.as_bytes());
        hashes.dedup();
        let mut storing = Vec::with_capacity(hashes.len());
        for hash in hashes {
            storing.push(self.locks.lock(cache.id, hash).await);
        }
        self.remove_locked(cache, storage, nars).await
    }

    /// As [`NarStore::remove_unneeded`], for callers that may hold the lock of a file. Files whose lock somebody holds stay
    /// until the next collection.
    pub(super) async fn remove_unneeded_now(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        nars: &[NarRecord],
    ) -> Result<(Freed, Option<StorageError>), CatalogError> {
        let mut storing = Vec::with_capacity(nars.len());
        let mut free = Vec::with_capacity(nars.len());
        for nar in nars {
            if let Some(lock) = self.locks.try_lock(cache.id, nar.file_hash) {
                storing.push(lock);
                free.push(nar.clone());
            }
        }
        self.remove_locked(cache, storage, &free).await
    }

    /// Removes files whose locks the caller holds.
    async fn remove_locked(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        nars: &[NarRecord],
    ) -> Result<(Freed, Option<StorageError>), CatalogError> {
        if self.is_ahead(storage).await? {
            return Ok((Freed::default(), None));
        }
        let given_up = self.catalog.give_up_nars(nars.iter().map(|nar| nar.id).collect()).await?;
        reached("gc-nars-given-up");
        let given_up: Vec<&NarRecord> = nars.iter().filter(|nar| given_up.contains(&nar.id)).collect();
        // Who looks one up from here on does not find it; who has it open reads it to its end.
        given_up.iter().for_each(|nar| cache.nars.forget(&nar.file_hash));
        let keys: Vec<Key> = given_up.iter().map(|nar| key(nar)).collect();
        let removed = delete_all(storage, &keys).await;
        reached("gc-nars-removed");
        let (mut done, mut failed) = (Vec::new(), storage.storage.sync(&keys).await.err());
        for (nar, result) in given_up.iter().zip(removed) {
            match result {
                Ok(()) => done.push(nar.id),
                Err(error) => failed = Some(error),
            }
        }
        let mut freed = Freed::default();
        if cache.has_copies() {
            freed = self.remove_copies_of(cache, &done).await?;
        }
        let forgotten = self.catalog.forget_nars(done).await?;
        self.touch(storage);
        reached("gc-nars-forgotten");
        for nar in given_up.iter().filter(|nar| forgotten.contains(&nar.id)) {
            cache.storages().removed(storage.id, nar.file_size);
            freed.files += 1;
            freed.bytes += nar.file_size;
        }
        Ok((freed, failed))
    }

    /// Finishes removals that a crash interrupted: of files beside NARs, and of NARs that nothing needs.
    pub async fn finish_removals(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
    ) -> Result<(), RemoveError> {
        let mut after: Option<TombstoneId> = None;
        loop {
            let page = self.catalog.tombstones(storage.id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            self.remove_tombstoned(cache, storage, &page).await?;
        }
        let mut after: Option<NarId> = None;
        loop {
            let page = self.catalog.unneeded_nars(storage.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let (_, failed) = self.remove_unneeded(cache, storage, &page).await?;
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
    }
}

fn key(nar: &NarRecord) -> Key {
    layout::nar_key(&NarFileName { file_hash: nar.file_hash, compression: nar.compression })
}

/// Deletes several objects at once. Gives the results in the order of the keys.
async fn delete_all(storage: &CacheStorage, keys: &[Key]) -> Vec<Result<(), StorageError>> {
    let backend = storage.storage.clone();
    let deleting = stream::iter(keys.to_vec()).map(move |key| {
        let backend = backend.clone();
        async move { backend.delete(&key).await.map(|_| ()) }
    });
    deleting.buffered(AT_ONCE).collect().await
}
