//! Storing a verified NAR, on the first storage that takes it, and recording its path.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{CommitOutcome, NarId, PathCommit, StorageId};
use nar_storage::{Durability, Reservation, layout};
use nix_formats::{NarFileName, StorePathHash};
use uuid::Uuid;

use super::error::PushError;
use super::intent::Intent;
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
    /// Where it is.
    pub(super) file: PathBuf,
}

/// A NAR that is durable on a storage, and that nobody knows of yet.
struct Stored {
    storage: Arc<CacheStorage>,
    reservation: Reservation,
    intent: Intent,
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
        upload: Uuid,
    ) -> Result<(), PushError> {
        let _storing = self.locks.lock(cache.id, nar.name.file_hash).await;
        commit.unavailable = cache.storages().unreachable();
        let known = self.catalog.find_nar(cache.id, &nar.name.file_hash).await?;
        if let Some(known) = known.filter(|known| !known.damaged && cache.gives_from(known.storage)) {
            commit.nar.storage = known.storage;
            match self.record_known(cache, commit.clone()).await {
                Err(PushError::NarMissing(_)) => {}
                recorded => return recorded,
            }
        }
        self.wait_for_removal(cache, &nar.name).await?;
        let stored = self.store(cache, &nar, upload).await?;
        commit.nar.storage = stored.storage.id;
        commit.turns = cache.storages().turns();
        let recorded = self.record(cache, commit, contents).await.map(|recorded| recorded.home);
        let home = recorded.as_ref().ok().copied().flatten();
        self.settle(cache, &nar.name, stored, home).await?;
        recorded.map(|_| ())
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
    async fn store(&self, cache: &Arc<Cache>, nar: &NarToStore, upload: Uuid) -> Result<Stored, PushError> {
        let key = layout::nar_key(&nar.name);
        let mut tried: Vec<Arc<str>> = Vec::new();
        loop {
            let (reservation, storage) = match cache.storages().reserve_spooled(nar.size, &nar.file, &tried) {
                Err(PushError::Full) => {
                    cache.storages().look_for_room().await;
                    cache.storages().reserve_spooled(nar.size, &nar.file, &tried)?
                }
                reserved => reserved?,
            };
            let intent = self.note(cache, &storage, &nar.name, upload).await?;
            let Err(error) = storage.storage.put_file(&key, &nar.file, Durability::Now).await else {
                return Ok(Stored { storage, reservation, intent });
            };
            storage.failed(&error);
            // A storage that stopped answering may have it nevertheless. It is looked for when the storage is back.
            intent.keep();
            drop(reservation);
            tried.push(storage.name().into());
            let file = nar.file.clone();
            if !blocking(move || file.exists()).await? {
                // It was moved, and then not made durable: there is nothing left to try again with.
                return Err(PushError::StorageFailing);
            }
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
        Ok(blocking(move || intents.note(&names[0], &names[1], &names[2], &names[3])).await??)
    }

    /// Ends the storing of a NAR that lies on `stored.storage`. `home` is where the catalog has the file now, if recording
    /// the path told.
    async fn settle(
        &self,
        cache: &Cache,
        name: &NarFileName,
        stored: Stored,
        home: Option<StorageId>,
    ) -> Result<(), PushError> {
        let Stored { storage, reservation, intent } = stored;
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
                if let Err(error) = storage.storage.delete(&layout::nar_key(name)).await {
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
