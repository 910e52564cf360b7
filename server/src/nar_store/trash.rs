//! The trash: restoring paths from it, and emptying it.
//!
//! To empty it, the catalog forgets trashed paths, and then their NAR files go as those of collected paths do. A crash in
//! between leaves files that no path needs, which the next collection and the next start remove.

use std::sync::Arc;

use catalog::{CatalogError, Restored, TrashToEmpty, UnixTime};
use nix_formats::StorePathHash;

use super::NarStore;
use super::collect::Freed;
use crate::cache::crowding::size_to_collect;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError};
use crate::chain::chain;
use crate::config::WhenFull;
use crate::fail_points::reached;

/// Paths that are forgotten in one transaction.
const PAGE: u64 = 200;
/// The most at once while room is made. It begins with one, so that little more goes than has to.
const MOST_FOR_ROOM: u64 = 64;

/// Collections that a push waits for. Others that wait as well may take the room that the first of them made.
const MOST_COLLECTIONS: usize = 32;

/// What became of trashed paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Emptied {
    /// Paths that cannot be restored any more.
    pub paths: u64,
    /// The files that went.
    pub freed: Freed,
}

impl NarStore {
    /// Restores a path from the trash with what it refers to. Continues when the caller goes away.
    pub async fn restore_path(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        path: StorePathHash,
    ) -> Result<Restored, PushError> {
        let (store, cache) = (self.clone(), cache.clone());
        let task = self.deletions.spawn(async move { store.restore(&cache, path).await });
        Ok(task.await.map_err(|_| PushError::Internal)??)
    }

    async fn restore(&self, cache: &Arc<Cache>, path: StorePathHash) -> Result<Restored, CatalogError> {
        let recording = cache.index.recording.read().await;
        let restored = self.catalog.restore_path(cache.id, path, UnixTime::now()).await?;
        reached("trash-restored");
        if let Restored::Done { paths, .. } = &restored {
            for path in paths {
                cache.index.forget_reply(path.hash());
                cache.show_recorded(&self.catalog, *path.hash());
            }
            // The files beside their NARs went when the paths were removed.
            self.publisher.publish_again();
            drop(recording);
            let hashes: Vec<_> = paths.iter().map(|path| *path.hash()).collect();
            for (hash, home) in self.catalog.path_homes(cache.id, &hashes).await? {
                self.list_recorded(cache, home.storage, hash).await;
                // Before it is acknowledged: the narinfo proves to an older catalog, in which the path is in the trash, that it
                // was restored.
                if let Some(record) = self.catalog.find_path(cache.id, &hash).await? {
                    self.publisher.publish_narinfo(cache, &record).await;
                }
            }
        }
        Ok(restored)
    }

    /// Empties the trash of a cache, or what has been there since before some time. Storages that do not answer keep theirs.
    /// Continues when the caller goes away.
    pub async fn empty_trash(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        before: Option<UnixTime>,
    ) -> Result<Emptied, PushError> {
        let (store, cache) = (self.clone(), cache.clone());
        let task = self.deletions.spawn(async move {
            let mut emptied = Emptied::default();
            for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
                loop {
                    let some = store.empty_some(&cache, storage, before, PAGE).await?;
                    if some.paths == 0 {
                        break;
                    }
                    emptied.add(some);
                }
            }
            Ok::<_, CatalogError>(emptied)
        });
        Ok(task.await.map_err(|_| PushError::Internal)??)
    }

    /// Empties the trash of a cache, the oldest paths of each storage first, until `is_enough`.
    pub async fn empty_trash_until(
        &self,
        cache: &Cache,
        is_enough: impl Fn() -> bool,
    ) -> Result<(), CatalogError> {
        let _making_room = self.making_room.lock().await;
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            let mut limit = 1;
            while !is_enough() && self.empty_some(cache, storage, None, limit).await?.paths > 0 {
                limit = (limit * 2).min(MOST_FOR_ROOM);
            }
        }
        Ok(())
    }

    /// Makes room for a push of `size` bytes until `has_room`: by emptying the trash, then by collecting, where the configuration
    /// of the cache says so. Returns whether there is room.
    pub async fn make_room_for_push(
        &self,
        cache: &Cache,
        size: u64,
        has_room: impl Fn() -> bool,
    ) -> Result<bool, CatalogError> {
        if self.make_room(cache, size, &has_room).await? {
            return Ok(true);
        }
        for _ in 0..MOST_COLLECTIONS {
            if cache.config().when_full != WhenFull::Collect || has_room() {
                break;
            }
            cache.crowding.wait_for_room(size, || self.crowded.notify_one()).await;
        }
        Ok(has_room())
    }

    /// Has a cache collected that is nearly full, if its configuration says so.
    pub fn look_whether_crowded(&self, cache: &Cache) {
        if size_to_collect(cache).is_some() {
            self.crowded.notify_one();
        }
    }

    /// Waits until a cache is to be collected to make room.
    pub async fn crowded(&self) {
        self.crowded.notified().await;
    }

    /// Makes room for a file of `size` bytes by emptying the trash, the oldest paths first, until `has_room`. Returns whether
    /// there is room. Does nothing where an empty trash would not help.
    pub async fn make_room(
        &self,
        cache: &Cache,
        size: u64,
        has_room: impl Fn() -> bool,
    ) -> Result<bool, CatalogError> {
        // One after the other, so that a burst of pushes does not remove more than it needs.
        let _making_room = self.making_room.lock().await;
        cache.storages().look_for_room().await;
        if has_room() {
            return Ok(true);
        }
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            let trash = self.catalog.trash_stats(storage.id).await?;
            if trash.paths == 0 || !cache.storages().could_take(storage, size, trash.bytes) {
                continue;
            }
            let (mut emptied, mut limit) = (Emptied::default(), 1);
            loop {
                let some = self.empty_some(cache, storage, None, limit).await?;
                limit = (limit * 2).min(MOST_FOR_ROOM);
                emptied.add(some);
                cache.storages().look_for_room().await;
                if some.paths == 0 || has_room() {
                    break;
                }
            }
            tracing::info!(
                cache = cache.name(),
                storage = storage.name(),
                paths = emptied.paths,
                bytes = emptied.freed.bytes,
                "emptied the trash to make room"
            );
            if has_room() {
                return Ok(true);
            }
        }
        Ok(has_room())
    }

    /// Forgets some trashed paths and removes the files that nothing needs any more. A file that is in use at the moment is
    /// left to the next collection: its lock must not be waited for by callers that hold another one.
    async fn empty_some(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        before: Option<UnixTime>,
        limit: u64,
    ) -> Result<Emptied, CatalogError> {
        let forgotten = self.catalog.empty_trash(TrashToEmpty { storage: storage.id, before, limit }).await?;
        if forgotten.paths == 0 {
            return Ok(Emptied::default());
        }
        reached("trash-emptied");
        if let Err(error) = self.remove_logs(cache, forgotten.derivers).await {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "build logs of the trash are left for now");
        }
        if let Err(error) = self.remove_realisations(cache, &forgotten.hashes).await {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "realisations of the trash are left for now");
        }
        let nars = self.catalog.unneeded_of(&forgotten.nars).await?;
        let (freed, failed) = self.remove_unneeded_now(cache, storage, &nars).await?;
        if let Some(error) = failed {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "files of the trash are left for now");
            storage.failed(&error);
        }
        Ok(Emptied { paths: forgotten.paths, freed })
    }
}

impl Emptied {
    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        self.paths += other.paths;
        self.freed.files += other.freed.files;
        self.freed.bytes += other.freed.bytes;
    }
}
