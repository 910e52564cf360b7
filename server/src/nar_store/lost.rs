//! Noticing that the catalog has lost its last transactions, and noting on the storages how far it has come.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use catalog::{CatalogError, StorageId};
use nar_storage::layout;
use nix_formats::StorePathHash;

use super::NarStore;
use super::journal::Entry;
use crate::cache::storages::{CacheStorage, Standing, advance};
use crate::cache::{Cache, Caches, blocking};
use crate::chain::chain;

/// Why it could not be noted on the storages how far the catalog has come.
#[derive(Debug, thiserror::Error)]
pub enum NoteGenerationsError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The journal failed.
    #[error("the list of recorded paths")]
    Journal(#[from] io::Error),
}

/// How often to look whether the catalog can be written again.
const RETRY: Duration = Duration::from_secs(2);

impl NarStore {
    /// Lists a path that was recorded, so that it is missed if the catalog loses it.
    pub async fn list_recorded(&self, cache: &Cache, storage: StorageId, path: StorePathHash) {
        // A thread that ends early has a panic to tell of.
        let _ = blocking(self.listing(cache, storage, path)).await;
    }

    /// As [`NarStore::list_recorded`], by what this returns, which blocks.
    pub(super) fn listing(
        &self,
        cache: &Cache,
        storage: StorageId,
        path: StorePathHash,
    ) -> impl FnOnce() + Send + use<> {
        // First, so that a round that sets the line aside also notes a generation.
        if let Some(storage) = cache.storage(storage) {
            self.touch(&storage);
        }
        self.journal.adding(Entry { cache: cache.id, storage, path })
    }

    /// Has it noted on a storage that something about what it holds has changed.
    pub fn touch(&self, storage: &CacheStorage) {
        storage.touch();
        self.touched.notify_one();
    }

    /// Whether the catalog is known to be older than what the storage holds. Nothing is removed from it then, as it may belong to
    /// paths that the catalog has lost.
    pub(super) async fn is_ahead(&self, storage: &CacheStorage) -> Result<bool, CatalogError> {
        Ok(!self.looked.load(Ordering::Acquire) || self.catalog.generation(storage.id).await?.rebuild)
    }

    /// Waits until a storage was touched, or the catalog can be written in which it could not be recorded at the start what it has
    /// lost.
    pub async fn wait_until_touched(&self) {
        if self.looked.load(Ordering::Acquire) {
            return self.touched.notified().await;
        }
        while !self.catalog.is_writable() {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Looks at the start whether the catalog still has the paths that were recorded last. A storage that holds one that it
    /// lacks is to be searched for more. Where a catalog that is read-only cannot record that, it is done once it can be written.
    pub async fn look_for_lost_paths(&self, caches: &Caches) -> Result<(), CatalogError> {
        match self.find_lost_paths(caches).await {
            Err(error) if !self.catalog.is_writable() => {
                tracing::warn!(error = %chain(&error), "cannot record which storages hold paths that the catalog has lost");
                Ok(())
            }
            looked => {
                self.looked.store(looked.is_ok(), Ordering::Release);
                looked
            }
        }
    }

    async fn find_lost_paths(&self, caches: &Caches) -> Result<(), CatalogError> {
        let entries = match self.journal.entries().await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "could not read which paths were recorded last");
                return Ok(());
            }
        };
        let mut listed: HashMap<_, Vec<StorePathHash>> = HashMap::new();
        for entry in entries {
            listed.entry((entry.cache, entry.storage)).or_default().push(entry.path);
        }
        for ((cache, storage), paths) in listed {
            let Some(cache) = caches.iter().find(|known| known.id == cache) else { continue };
            let Some(storage) = cache.storage(storage) else { continue };
            let lost = self.lost_of(cache, &storage, &paths).await?;
            if lost > 0 {
                tracing::warn!(
                    cache = cache.name(),
                    storage = storage.name(),
                    lost,
                    "the catalog has lost paths that it had recorded: its last changes did not survive; the storage is \
                     searched for the missing paths"
                );
                self.catalog.begin_rebuild(storage.id, 0).await?;
            }
        }
        Ok(())
    }

    /// How many of the paths are on the storage and unknown to the catalog. One that was deleted since is neither.
    async fn lost_of(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        paths: &[StorePathHash],
    ) -> Result<u64, CatalogError> {
        let known = self.catalog.path_homes(cache.id, paths).await?;
        let missing: Vec<_> = paths.iter().filter(|path| !known.contains_key(*path)).copied().collect();
        let deleted = self.catalog.removed_of(cache.id, &missing).await?;
        let mut lost = 0;
        for path in missing.iter().filter(|path| !deleted.contains(*path)) {
            // A storage that does not answer may have it.
            let is_gone = !storage.liveness.is_lost()
                && matches!(storage.storage.head(&layout::narinfo_key(path)).await, Ok(None));
            lost += u64::from(!is_gone);
        }
        Ok(lost)
    }

    /// Notes on the storages that were touched how far the catalog has come. Storages that do not work are left for another time.
    pub async fn note_generations(&self, caches: &Caches) -> Result<(), NoteGenerationsError> {
        let of = |cache: &Arc<Cache>| cache.storages().iter().cloned().collect::<Vec<_>>();
        let storages: Vec<_> = caches.iter().flat_map(of).collect();
        let copied: HashSet<StorageId> =
            caches.iter().filter(|cache| cache.has_copies()).flat_map(of).map(|storage| storage.id).collect();
        // Before the list of recorded paths is shortened.
        if !self.looked.load(Ordering::Acquire) {
            self.find_lost_paths(caches).await?;
            self.looked.store(true, Ordering::Release);
        }
        self.record_by_products(&storages).await?;
        self.journal.set_aside().await?;
        let (mut due, mut behind) = (Vec::new(), HashSet::new());
        for storage in &storages {
            if storage.standing() == Standing::Unknown
                && !storage.liveness.is_lost()
                && let Err(error) = storage.compare_note(&self.catalog, copied.contains(&storage.id)).await
            {
                tracing::debug!(storage = storage.name(), error = %chain(&error), "could not compare a storage with the catalog");
            }
            if storage.standing() != Standing::Ours || storage.liveness.is_lost() {
                behind.insert(storage.id);
            } else if storage.take_touched() {
                due.push(storage.as_ref());
            }
        }
        if !due.is_empty() {
            let noted = advance(&self.catalog, &due)
                .await
                .inspect_err(|_| due.iter().for_each(|storage| storage.touch()));
            for (storage, error) in noted? {
                storage.touch();
                behind.insert(storage.id);
                // Its probes find out when it works again.
                storage.failed(&error);
            }
        }
        self.journal.forget_earlier(behind).await?;
        Ok(())
    }

    /// Records by how much the by-products on the storages have grown.
    async fn record_by_products(&self, storages: &[Arc<CacheStorage>]) -> Result<(), CatalogError> {
        let grown: Vec<(&Arc<CacheStorage>, i64)> = storages
            .iter()
            .map(|storage| (storage, storage.take_unrecorded()))
            .filter(|(_, bytes)| *bytes != 0)
            .collect();
        if grown.is_empty() {
            return Ok(());
        }
        let changes = grown.iter().map(|(storage, bytes)| (storage.id, *bytes)).collect();
        let recorded =
            self.catalog.add_by_product_bytes(changes).await.inspect_err(|_| {
                grown.iter().for_each(|(storage, bytes)| storage.put_back_unrecorded(*bytes))
            })?;
        for ((storage, _), recorded) in grown.iter().zip(recorded) {
            storage.set_by_products(recorded);
        }
        Ok(())
    }

    /// Corrects what the by-products on a storage take by what was counted.
    pub async fn set_by_products(&self, storage: &CacheStorage, bytes: u64) -> Result<(), CatalogError> {
        storage.take_unrecorded();
        self.catalog.set_by_product_bytes(storage.id, bytes).await?;
        storage.set_by_products(bytes);
        Ok(())
    }
}
