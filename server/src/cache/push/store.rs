//! Storing a verified NAR, on the first storage that takes it, and recording its path.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{CatalogError, CommitOutcome, NarId, PathCommit, StorageId};
use nar_storage::{Durability, Reservation, layout};
use nix_formats::{NarFileName, StorePathHash};
use uuid::Uuid;

use super::error::PushError;
use super::intent::Intent;
use super::spool::Attempt;
use super::upload::Upload;
use super::{Pusher, blocking};
use crate::cache::Cache;
use crate::cache::contents::Contents;
use crate::cache::publish::{nar_file_name, publish};
use crate::cache::storages::CacheStorage;

/// How long another daemon may take to remove a file. One that takes longer has died over it.
const REMOVAL: Duration = Duration::from_secs(20);
/// How often to look whether it has.
const REMOVAL_POLL: Duration = Duration::from_millis(100);

/// A verified NAR file in the spool.
pub(super) struct NarToStore {
    /// Its name.
    pub(super) name: NarFileName,
    /// Its length in bytes.
    pub(super) size: u64,
    /// What it consists of, in order.
    pub(super) parts: Vec<(u32, Attempt)>,
}

/// A NAR that is durable on a storage, and that nobody knows of yet.
pub(super) struct Stored {
    pub(super) name: NarFileName,
    size: u64,
    storage: Arc<CacheStorage>,
    reservation: Reservation,
    pub(super) intent: Intent,
}

/// What recording a path came to.
struct Recorded {
    /// Where its NAR lies; none if the path was there.
    home: Option<StorageId>,
    /// The NAR, if it took the place of one that was damaged or out of reach.
    replaced: Option<(NarId, NarFileName)>,
}

impl Pusher {
    /// Stores the NAR unless the cache has it, records the path and publishes it. Where `commit` says the NAR lies does
    /// not matter.
    pub(super) async fn store_and_record(
        &self,
        cache: &Arc<Cache>,
        nar: NarToStore,
        mut commit: PathCommit,
        contents: Option<Contents>,
        upload: &Upload,
    ) -> Result<(), PushError> {
        let _storing = self.locks.lock(cache.id, nar.name.file_hash).await;
        commit.unavailable = cache.storages().unreachable();
        let known = self.catalog.find_nar(cache.id, &nar.name.file_hash).await?;
        if let Some(known) = known.filter(|known| !known.damaged && cache.gives_from(known.storage)) {
            commit.nar.storage = known.storage;
            match self.record_known(cache, commit.clone()).await {
                Err(PushError::NarMissing(_)) => {}
                recorded => {
                    // An earlier attempt may have recorded it without knowing so.
                    if recorded.is_ok()
                        && let Some(stored) = upload.parked.take(&nar.name)
                    {
                        self.settle(cache, stored, Some(known.storage)).await?;
                    }
                    return recorded;
                }
            }
        }
        self.wait_for_removal(cache, &nar.name).await?;
        let stored = match self.find_parked(cache, &nar, upload).await {
            Some(stored) => stored,
            None => self.store(cache, &nar, upload).await?,
        };
        commit.nar.storage = stored.storage.id;
        commit.turns = cache.storages().turns();
        match self.record(cache, commit, contents).await {
            Ok(recorded) => self.settle(cache, stored, recorded.home).await,
            // The client may try again, and the bytes are here already.
            Err(PushError::Catalog(error)) if error.is_temporary() => {
                upload.parked.put(stored);
                Err(error.into())
            }
            Err(error) => {
                self.settle(cache, stored, None).await?;
                Err(error)
            }
        }
    }

    /// What an earlier attempt of this upload has stored, if it is still there.
    async fn find_parked(&self, cache: &Cache, nar: &NarToStore, upload: &Upload) -> Option<Stored> {
        let stored = upload.parked.take(&nar.name)?;
        let found = match cache.storages().get(stored.storage.id) {
            Some(storage) => storage.storage.head(&layout::nar_key(&stored.name)).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(size)) if size == stored.size => Some(stored),
            _ => {
                stored.intent.keep();
                None
            }
        }
    }

    /// Waits while another daemon removes the same file as garbage: it must not remove what is stored here. In this daemon
    /// the lock of the file sees to that.
    async fn wait_for_removal(&self, cache: &Cache, name: &NarFileName) -> Result<(), PushError> {
        let deadline = Instant::now() + REMOVAL;
        while self.is_shared()
            && Instant::now() < deadline
            && self.catalog.is_given_up(cache.id, &name.file_hash).await?
        {
            tokio::time::sleep(REMOVAL_POLL).await;
        }
        Ok(())
    }

    /// Puts the NAR on the storage that the strategy picks or, where that fails, on the next one.
    async fn store(
        &self,
        cache: &Arc<Cache>,
        nar: &NarToStore,
        upload: &Upload,
    ) -> Result<Stored, PushError> {
        let key = layout::nar_key(&nar.name);
        let mut tried: Vec<Arc<str>> = Vec::new();
        loop {
            // Anew for each storage: the last one may have moved the file and then not made it durable.
            let file = assemble(upload, nar).await?;
            let (reservation, storage) = match cache.storages().reserve_spooled(nar.size, &file, &tried) {
                Err(PushError::Full) => {
                    cache.storages().look_for_room().await;
                    cache.storages().reserve_spooled(nar.size, &file, &tried)?
                }
                reserved => reserved?,
            };
            let intent = self.note(cache, &storage, &nar.name, upload.id).await?;
            let Err(error) = storage.storage.put_file(&key, &file, Durability::Now).await else {
                let (name, size) = (nar.name, nar.size);
                return Ok(Stored { name, size, storage, reservation, intent });
            };
            if error.is_unfit() {
                return Err(PushError::unfit(&error));
            }
            if error.is_of_spool() {
                // The disk that the upload lies on is at fault, not the one it was to go to.
                cache.storages().spool_failed(&file, &error);
            } else {
                storage.failed(&error);
            }
            // A storage that stopped answering may have it nevertheless. It is looked for when the storage is back.
            intent.keep();
            drop(reservation);
            tried.push(storage.name().into());
        }
    }

    /// Notes that a NAR is about to be on a storage without the catalog knowing it there.
    pub(super) async fn note(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        nar: &NarFileName,
        upload: Uuid,
    ) -> Result<Intent, PushError> {
        let intents = self.intents.clone();
        let names = [cache.name().to_owned(), storage.name().to_owned(), nar.to_string(), upload.to_string()];
        let noted = blocking(move || intents.note(&names[0], &names[1], &names[2], &names[3])).await?;
        // It is the state directory that failed, and no storage.
        noted.map_err(|error| {
            let reason = format!("the state directory cannot be written to: {error}");
            CatalogError::Unavailable { reason }.into()
        })
    }

    /// Ends the storing of a NAR that lies on `stored.storage`. `home` is where the catalog has the file now, if recording
    /// the path told.
    async fn settle(&self, cache: &Cache, stored: Stored, home: Option<StorageId>) -> Result<(), PushError> {
        let Stored { name, storage, reservation, intent, .. } = stored;
        let home = match home {
            Some(home) => Ok(Some(home)),
            None => {
                let nar = self.catalog.find_nar(cache.id, &name.file_hash).await;
                nar.map(|nar| nar.map(|nar| nar.storage))
            }
        };
        match home {
            Ok(Some(home)) if home == storage.id => reservation.commit(),
            Ok(_) if self.is_shared() => {
                // Another daemon may be about to record the same file.
                intent.keep();
                return Ok(());
            }
            Ok(_) => {
                drop(reservation);
                if let Err(error) = storage.storage.delete(&layout::nar_key(&name)).await {
                    tracing::warn!(cache = cache.name(), %error, "could not remove a NAR that was not recorded");
                    intent.keep();
                    return Ok(());
                }
            }
            // Whether it was recorded shows when the catalog answers again.
            Err(_) => {
                intent.keep();
                return Ok(());
            }
        }
        blocking(move || drop(intent)).await
    }

    /// Records a path whose NAR another path has brought before, and publishes it.
    pub(super) async fn record_known(&self, cache: &Arc<Cache>, commit: PathCommit) -> Result<(), PushError> {
        let file = commit.nar.file_hash;
        let recorded = self.record(cache, commit, None).await?;
        if let Some((replaced, name)) = recorded.replaced {
            // It was found damaged a moment ago, and nobody has stored it anew.
            cache.hide_nar(&self.catalog, replaced, &name, "it was damaged before").await?;
            return Err(PushError::NarMissing(file.to_string()));
        }
        Ok(())
    }

    /// Records a path whose NAR is stored, and publishes it.
    async fn record(
        &self,
        cache: &Arc<Cache>,
        commit: PathCommit,
        contents: Option<Contents>,
    ) -> Result<Recorded, PushError> {
        let hash = *commit.path.hash();
        let file_hash = commit.nar.file_hash;
        let _recording = cache.index.recording.read().await;
        let (record, revealed, replaced) = match self.catalog.commit_path(commit).await? {
            CommitOutcome::AlreadyPresent(_) => {
                self.show(cache, hash);
                return Ok(Recorded { home: None, replaced: None });
            }
            CommitOutcome::Created { path, revealed, replaced }
            | CommitOutcome::Healed { path, revealed, replaced } => (path, revealed, replaced),
        };
        cache.nars.forget(&file_hash);
        cache.index.forget_reply(&hash);
        revealed.into_iter().for_each(|path| self.show(cache, path));
        if let Some(replaced) = &replaced {
            cache.storages().removed(replaced.storage, replaced.file_size);
        }
        // The path is safe already: what fails here is done again in the background.
        match publish(cache, &record, contents).await {
            Ok(()) => self.wrote(&record),
            Err(error) => {
                tracing::warn!(cache = cache.name(), path = %record.path.base_name(), %error, "could not publish a path yet");
                self.publish_again();
            }
        }
        self.show(cache, hash);
        tracing::debug!(cache = cache.name(), path = %hash, "path committed");
        let replaced = replaced.map(|_| (record.nar.id, nar_file_name(&record)));
        Ok(Recorded { home: Some(record.nar.storage), replaced })
    }

    /// Makes a path visible that was recorded just now.
    fn show(&self, cache: &Cache, path: StorePathHash) {
        if self.is_shared() {
            cache.index.insert_ahead_of_feed(path);
        } else {
            cache.index.insert(path);
        }
    }
}

/// Makes the upload one file. Returns where that is.
async fn assemble(upload: &Upload, nar: &NarToStore) -> Result<PathBuf, PushError> {
    let (spool, parts) = (upload.spool.clone(), nar.parts.clone());
    Ok(blocking(move || spool.assemble(&parts)).await??)
}
