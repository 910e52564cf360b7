//! Recording a path in the catalog, which makes it visible.
//!
//! Three things are held, in this order, and each for as short as it can be:
//!
//! 1. The lock of the file, over the whole of it: nobody stores or removes the same file.
//! 2. `Cache::reconfigure_lock`, from signing to recording: keys and storages stay as they are.
//! 3. `Index::recording`, while the path is recorded and shown: no deletion comes in between.
//!
//! The last two are not held while a disk or a bucket is waited for, so that a reload or a deletion is not held up by the
//! largest upload, nor everybody else by the reload that waits.

use std::sync::Arc;

use catalog::{CommitOutcome, NarId, PathCommit, PathRecord, StorageId};
use nix_formats::{NarFileName, Signature};

use super::Ingest;
use super::description::PathDescription;
use crate::cache::contents::Contents;
use crate::cache::keys::KeyRing;
use crate::cache::narinfo::nar_file_name;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError};
use crate::nar_store::NarToStore;
use crate::uploads::{Attempt, Upload};

/// A path that is about to be recorded, and signed for that.
pub(super) struct Signed<'a> {
    description: &'a PathDescription,
    keys: Arc<KeyRing>,
    signatures: Vec<Signature>,
}

impl<'a> Signed<'a> {
    /// Signs a path with the keys that the cache has at the moment.
    pub(super) fn new(cache: &Cache, description: &'a PathDescription) -> Result<Self, PushError> {
        let keys = cache.keys();
        let signatures = keys.sign(&description.fingerprint(), &description.offered)?;
        Ok(Self { description, keys, signatures })
    }

    /// The signatures for `commit`, made anew if the cache has other keys by now.
    pub(super) fn put_into(&mut self, commit: &mut PathCommit, cache: &Cache) -> Result<(), PushError> {
        if !Arc::ptr_eq(&self.keys, &cache.keys()) {
            *self = Self::new(cache, self.description)?;
        }
        commit.signatures = self.signatures.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

/// What recording a path came to.
struct Recorded {
    /// The path; none if it was there.
    path: Option<Box<PathRecord>>,
    /// Its NAR, if it took the place of one that was damaged or out of reach.
    replaced: Option<((NarId, StorageId), NarFileName)>,
}

impl Recorded {
    /// Where the NAR lies; none if the path was there.
    fn home(&self) -> Option<StorageId> {
        self.path.as_ref().map(|path| path.nar.storage)
    }
}

impl Ingest {
    /// Stores the NAR unless the cache has it, records the path and publishes it. Where `commit` says the NAR lies does
    /// not matter.
    pub(super) async fn store_and_record(
        &self,
        cache: &Arc<Cache>,
        upload: &Upload,
        (nar, parts): (NarToStore, &[(u32, Attempt)]),
        (mut commit, mut signed): (PathCommit, Signed<'_>),
        contents: Contents,
    ) -> Result<(), PushError> {
        let _storing = self.nar_store.lock_file(cache.id, nar.name.file_hash).await;
        let known = self.catalog.find_nar(cache.id, &nar.name.file_hash).await?;
        let known = match known {
            Some(known) if cache.gives(&self.catalog, &known).await? => Some(known),
            _ => None,
        };
        if let Some(known) = known {
            commit.nar.storage = known.storage;
            commit.copies = cache.further_copies_beside(known.storage);
            match self.record_known(cache, commit.clone(), &mut signed).await {
                Err(PushError::NarMissing(_)) => {}
                recorded => {
                    // An earlier attempt may have recorded it without knowing so.
                    if recorded.is_ok()
                        && let Some(stored) = upload.parked.take(&nar.name)
                    {
                        self.nar_store.finish_store(cache, stored, Some(known.storage), None).await?;
                    }
                    return recorded;
                }
            }
        }
        self.nar_store.wait_for_removal(cache, &nar.name).await?;
        let mut stored = match self.nar_store.find_parked(cache, &nar, &upload.parked).await {
            Some(stored) => stored,
            None => self.nar_store.put(cache, &nar, &upload.parked, || upload.assemble(parts)).await?,
        };
        let recorded = loop {
            let reconfigured = cache.reconfigure_lock.read().await;
            if cache.has_storage(stored.storage()) {
                commit.nar.storage = stored.storage().id;
                commit.copies = cache.further_copies_beside(stored.storage().id);
                commit.turns = cache.storages().turns();
                break match signed.put_into(&mut commit, cache) {
                    Ok(()) => self.record(cache, commit).await,
                    Err(error) => Err(error),
                };
            }
            // A reload has taken the storage away meanwhile.
            drop(reconfigured);
            stored = self.nar_store.move_stored(cache, stored, nar.upload).await?;
        };
        match recorded {
            Ok(recorded) => {
                let path = recorded.path.as_ref().map(|path| *path.path.hash());
                self.nar_store.finish_store(cache, stored, recorded.home(), path).await?;
                if let Some(path) = recorded.path {
                    self.publisher.publish(cache, &path, Some(contents)).await;
                }
                Ok(())
            }
            // The client may try again, and the bytes are here already.
            Err(PushError::Catalog(error)) if error.is_temporary() => {
                upload.parked.put(stored);
                Err(error.into())
            }
            Err(error) => {
                self.nar_store.finish_store(cache, stored, None, None).await?;
                Err(error)
            }
        }
    }

    /// Records a path whose NAR another path has brought before, and publishes it.
    pub(super) async fn record_known(
        &self,
        cache: &Arc<Cache>,
        mut commit: PathCommit,
        signed: &mut Signed<'_>,
    ) -> Result<(), PushError> {
        let file = commit.nar.file_hash;
        let reconfigured = cache.reconfigure_lock.read().await;
        signed.put_into(&mut commit, cache)?;
        let mut recorded = self.record(cache, commit).await?;
        drop(reconfigured);
        let replaced = recorded.replaced.take();
        if let Some(path) = recorded.path {
            self.nar_store.list_recorded(cache, path.nar.storage, *path.path.hash()).await;
            self.publisher.publish(cache, &path, None).await;
        }
        if let Some((replaced, name)) = replaced {
            // It was found damaged a moment ago, and nobody has stored it anew.
            cache.hide_nar(&self.catalog, replaced, &name, "it was damaged before").await?;
            return Err(PushError::NarMissing(file.to_string()));
        }
        Ok(())
    }

    /// Records a path whose NAR is stored, and makes it visible.
    async fn record(&self, cache: &Arc<Cache>, mut commit: PathCommit) -> Result<Recorded, PushError> {
        commit.unavailable = cache.storages().unreachable();
        let hash = *commit.path.hash();
        let file_hash = commit.nar.file_hash;
        let _recording = cache.index.recording.read().await;
        let (record, revealed, replaced) = match self.catalog.commit_path(commit).await? {
            CommitOutcome::AlreadyPresent(_) => {
                cache.show_recorded(&self.catalog, hash);
                return Ok(Recorded { path: None, replaced: None });
            }
            CommitOutcome::Created { path, revealed, replaced }
            | CommitOutcome::Healed { path, revealed, replaced } => (path, revealed, replaced),
        };
        cache.nars.forget(&file_hash);
        cache.index.forget_reply(&hash);
        revealed.into_iter().for_each(|path| cache.show_recorded(&self.catalog, path));
        if let Some(replaced) = &replaced {
            cache.storages().removed(replaced.storage, replaced.file_size);
        }
        cache.show_recorded(&self.catalog, hash);
        if record.missing_reference.is_some() {
            self.incomplete.notify_one();
        }
        cache.counters.pushes.increment();
        cache.counters.pushed_bytes.add(record.nar.file_size);
        let storage = cache.storage(record.nar.storage);
        tracing::info!(
            cache = cache.name(),
            path = record.path.base_name(),
            storage = storage.as_deref().map(CacheStorage::name),
            file_bytes = record.nar.file_size,
            nar_bytes = record.nar.nar_size,
            "pushed"
        );
        let replaced = replaced.map(|_| ((record.nar.id, record.nar.storage), nar_file_name(&record)));
        Ok(Recorded { path: Some(record), replaced })
    }
}
