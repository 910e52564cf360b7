//! Keeping the same NAR of several caches in one file, as hard links, where their storages lie below the same directory.
//!
//! Each name is read, moved and removed on its own. A file whose bytes were verified a moment ago, by a push or by a scrub, takes the place
//! of those that other caches have, never the other way round: damage does not spread, and what heals one cache owes nothing to another. Copies of one cache lie below different directories, so they never become one file.
//!
//! A crash between any two steps leaves each cache one of two files with the same bytes, and at most a link in a spool, which the next
//! start removes. The catalog knows nothing of links.

use std::collections::VecDeque;
use std::sync::Arc;

use catalog::{CacheId, CatalogError, CopyState, NarRecord, StorageId};
use nar_storage::{FileIdentity, Linking, StorageError, layout};
use nix_formats::{FileHash, NarFileName};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::NarStore;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, Caches};
use crate::chain::chain;
use crate::fail_points::reached;

/// The most files that wait to be shared. The next scrub finds the others.
const MOST_WAITING: usize = 4096;

/// Files that were just stored.
#[derive(Default)]
pub(super) struct ToShare {
    waiting: Mutex<VecDeque<JustStored>>,
    added: Notify,
}

struct JustStored {
    cache: CacheId,
    storage: StorageId,
    name: NarFileName,
    size: u64,
}

/// A file of a cache on one of its storages.
struct Place<'a> {
    cache: &'a Arc<Cache>,
    storage: &'a Arc<CacheStorage>,
}

impl NarStore {
    /// Has a worker share a verified file of `size` bytes that was just recorded.
    pub(super) fn share_later(&self, cache: &Cache, storage: &CacheStorage, name: NarFileName, size: u64) {
        if storage.local().is_none() {
            return;
        }
        let mut waiting = self.to_share.waiting.lock();
        if waiting.len() < MOST_WAITING {
            waiting.push_back(JustStored { cache: cache.id, storage: storage.id, name, size });
            self.to_share.added.notify_one();
        }
    }

    /// Waits until a file was stored that other caches may have as well.
    pub async fn wait_for_sharing(&self) {
        self.to_share.added.notified().await;
    }

    /// Shares the files that were just stored.
    pub async fn share_stored(&self, caches: &Caches, stop: &CancellationToken) -> Result<(), CatalogError> {
        while !stop.is_cancelled() {
            let Some(stored) = self.to_share.waiting.lock().pop_front() else { break };
            let cache = caches.iter().find(|cache| cache.id == stored.cache);
            let Some((cache, storage)) =
                cache.and_then(|cache| Some((cache, cache.storage(stored.storage)?)))
            else {
                continue;
            };
            self.share(caches, cache, &storage, &stored.name, stored.size).await?;
        }
        Ok(())
    }

    /// Replaces the files of other caches that have the same name, and so the same bytes, by links to a file that was just verified.
    pub async fn share(
        &self,
        caches: &Caches,
        cache: &Arc<Cache>,
        storage: &Arc<CacheStorage>,
        name: &NarFileName,
        size: u64,
    ) -> Result<(), CatalogError> {
        let from = Place { cache, storage };
        for (other, beside) in self.neighbours_with(caches, &from, name).await? {
            let to = Place { cache: &other, storage: &beside };
            let _locks = self.lock_both(cache.id, other.id, name.file_hash).await;
            if !self.has_sound(&from, name, size).await? || !self.has_sound(&to, name, size).await? {
                continue;
            }
            if let Err(error) = replace(&from, &to, name, size).await {
                tracing::warn!(cache = other.name(), nar = %name, error = %chain(&error), "could not share a NAR with another cache");
                beside.failed(&error);
            }
        }
        Ok(())
    }

    /// Hides a NAR in all other caches that share the damaged `file` of a cache. Returns these, with their storages.
    pub async fn hide_shared(
        &self,
        caches: &Caches,
        cache: &Arc<Cache>,
        storage: &Arc<CacheStorage>,
        (name, file): (&NarFileName, FileIdentity),
        reason: &str,
    ) -> Result<Vec<String>, CatalogError> {
        let mut hidden = Vec::new();
        for (other, beside) in self.neighbours_with(caches, &Place { cache, storage }, name).await? {
            // A push must not heal it between the look at the file and the mark in the catalog.
            let _storing = self.locks.lock(other.id, name.file_hash).await;
            let Some(nar) = self.catalog.find_nar(other.id, &name.file_hash).await? else { continue };
            // One that cannot be looked at now is found by the next scrub of the other cache.
            if beside.identify(name).await == Some(file) {
                other.hide_nar(&self.catalog, (nar.id, beside.id), name, reason).await?;
                hidden.push(format!("{}/{}", other.name(), beside.name()));
            }
        }
        Ok(hidden)
    }

    /// The storages of other caches that have a file of this name, and lie below the same directory.
    async fn neighbours_with(
        &self,
        caches: &Caches,
        of: &Place<'_>,
        name: &NarFileName,
    ) -> Result<Vec<(Arc<Cache>, Arc<CacheStorage>)>, CatalogError> {
        let mut found = neighbours(caches, of);
        if !found.is_empty() {
            let ids: Vec<CacheId> = found.iter().map(|(cache, _)| cache.id).collect();
            let with_it = self.catalog.caches_with_nar(&ids, &name.file_hash).await?;
            found.retain(|(cache, _)| with_it.contains(&cache.id));
        }
        Ok(found)
    }

    /// Whether a file lies in this place and is not damaged, as far as the catalog knows.
    async fn has_sound(
        &self,
        place: &Place<'_>,
        name: &NarFileName,
        size: u64,
    ) -> Result<bool, CatalogError> {
        let found = self.catalog.find_nar(place.cache.id, &name.file_hash).await?;
        let is_same = |nar: &NarRecord| (nar.file_size, nar.compression) == (size, name.compression);
        let Some(nar) = found.filter(is_same) else { return Ok(false) };
        let is_here = if nar.storage == place.storage.id {
            !nar.damaged
        } else {
            place.cache.has_copies()
                && self.catalog.copy_at(place.storage.id, &name.file_hash).await? == Some(CopyState::There)
        };
        Ok(is_here)
    }

    /// Locks a file in two caches, in the order of their ids.
    async fn lock_both(&self, one: CacheId, other: CacheId, file: FileHash) -> [OwnedMutexGuard<()>; 2] {
        [self.locks.lock(one.min(other), file).await, self.locks.lock(one.max(other), file).await]
    }
}

/// The storages of other caches below the same directory, as far as they can be read from.
fn neighbours(caches: &Caches, of: &Place<'_>) -> Vec<(Arc<Cache>, Arc<CacheStorage>)> {
    let mut found = Vec::new();
    for cache in caches.iter().filter(|cache| cache.id != of.cache.id) {
        let storages = cache.storages();
        let beside =
            storages.iter().filter(|storage| storage.is_beside(of.storage) && !storage.liveness.is_lost());
        found.extend(beside.map(|storage| (cache.clone(), storage.clone())));
    }
    found
}

/// Replaces the file at `to` by a link to that at `from`. The locks of both are held.
async fn replace(
    from: &Place<'_>,
    to: &Place<'_>,
    name: &NarFileName,
    size: u64,
) -> Result<(), StorageError> {
    let (Some(source), Some(target)) = (from.storage.local(), to.storage.local()) else { return Ok(()) };
    let key = layout::nar_key(name);
    let (one, other) = (from.cache.name(), to.cache.name());
    match target.link_from(source, &key, size).await? {
        Linking::Ready(link) => {
            reached("share-linked");
            target.replace_by_link(&key, link).await?;
            reached("share-replaced");
            to.storage.storage.sync(&[key]).await?;
            reached("share-synced");
            tracing::debug!(cache = one, with = other, nar = %name, bytes = size, "two caches share a NAR");
        }
        Linking::Linked => {}
        Linking::Apart(reason) => {
            tracing::debug!(cache = one, with = other, nar = %name, reason, "two caches do not share a NAR");
        }
    }
    Ok(())
}
