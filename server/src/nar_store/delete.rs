//! Deleting paths because an operator said so.
//!
//! They go as garbage does: out of the catalog, leaving tombstones, and into the trash, then the files beside the NARs, then
//! the NARs that neither another path nor the trash needs. What a storage does not give up now is left to the next collection.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use catalog::{CatalogError, Deleted, DeletedPath, StorageId, UnixTime};
use nar_storage::StorageError;
use nix_formats::{StorePath, StorePathHash};

use super::NarStore;
use super::collect::{Freed, RemoveError};
use crate::cache::Cache;
use crate::cache::PushError;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::fail_points::reached;

/// What became of a path that was to be deleted.
pub enum Deletion {
    /// It is gone.
    Done {
        /// The paths that are gone, itself included.
        paths: Vec<StorePath>,
        /// The files that went.
        freed: Freed,
        /// The size of the files that stay in the trash, in bytes.
        trashed_bytes: u64,
        /// How many of the paths have files that could not be removed yet.
        postponed: u64,
    },
    /// Nothing has changed, for this reason, which is not [`Deleted::Done`].
    Refused(Deleted),
}

impl NarStore {
    /// Deletes a path, with what refers to it if it is to be `recursive`. It stays in the trash for a while if there is one
    /// (`trash`). Continues when the caller goes away.
    pub async fn delete_path(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        path: StorePathHash,
        recursive: bool,
        trash: bool,
    ) -> Result<Deletion, PushError> {
        let (store, cache) = (self.clone(), cache.clone());
        let task = self.deletions.spawn(async move { store.delete(&cache, path, recursive, trash).await });
        Ok(task.await.map_err(|_| PushError::Internal)??)
    }

    async fn delete(
        &self,
        cache: &Arc<Cache>,
        path: StorePathHash,
        recursive: bool,
        trash: bool,
    ) -> Result<Deletion, CatalogError> {
        let recording = cache.index.recording.write().await;
        let deletion = catalog::Deletion { cache: cache.id, path, recursive, now: UnixTime::now(), trash };
        let (deleted, trashed_bytes) = match self.catalog.delete_path(deletion).await? {
            Deleted::Done { paths, trashed_bytes } => (paths, trashed_bytes),
            refused => return Ok(Deletion::Refused(refused)),
        };
        for deleted in &deleted {
            cache.index.remove(deleted.path.hash());
            cache.nars.forget(&deleted.nar.file_hash);
        }
        drop(recording);
        reached("delete-recorded");
        let mut by_storage: HashMap<StorageId, Vec<&DeletedPath>> = HashMap::new();
        for deleted in &deleted {
            by_storage.entry(deleted.nar.storage).or_default().push(deleted);
        }
        let (mut freed, mut postponed) = (Freed::default(), 0);
        for (storage, deleted) in by_storage {
            // One that was taken out of the configuration a moment ago keeps what it has.
            let Some(storage) = cache.storage(storage) else { continue };
            if storage.liveness.is_lost() {
                postponed += deleted.len() as u64;
                continue;
            }
            let (of_storage, failed) = self.remove_files(cache, &storage, &deleted).await?;
            freed.files += of_storage.files;
            freed.bytes += of_storage.bytes;
            if let Some(error) = failed {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "the files of deleted paths are left for now");
                storage.failed(&error);
                postponed += deleted.len() as u64;
            }
        }
        if cache.has_copies() {
            self.remove_beside_copies(cache).await?;
        }
        let paths = deleted.into_iter().map(|deleted| deleted.path).collect();
        Ok(Deletion::Done { paths, freed, trashed_bytes, postponed })
    }

    /// Removes what deleted paths have left on a storage. The error is of what could not be removed.
    async fn remove_files(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        deleted: &[&DeletedPath],
    ) -> Result<(Freed, Option<StorageError>), CatalogError> {
        let tombstones: Vec<_> = deleted.iter().map(|deleted| deleted.tombstone).collect();
        match self.remove_tombstoned(cache, storage, &tombstones).await {
            Ok(()) => {}
            Err(RemoveError::Catalog(error)) => return Err(error),
            Err(RemoveError::Storage(error)) => return Ok((Freed::default(), Some(error))),
        }
        let nars: HashSet<_> = deleted.iter().map(|deleted| deleted.nar.id).collect();
        let nars = self.catalog.unneeded_of(&Vec::from_iter(nars)).await?;
        self.remove_unneeded(cache, storage, &nars).await
    }
}
