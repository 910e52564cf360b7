//! Storing a verified NAR, on the first storage that takes it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog::{CatalogError, StorageId};
use nar_storage::{Durability, Reservation, layout};
use nix_formats::{NarFileName, StorePathHash};
use uuid::Uuid;

use super::NarStore;
use super::intent::Intent;
use super::parked::Parked;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::cache::{PushError, blocking};
use crate::chain::chain;
use crate::hashing::Hashing;

/// How long another daemon may take to remove a file. One that takes longer has died over it.
pub(super) const REMOVAL: Duration = Duration::from_secs(20);
/// How often to look whether it has.
pub(super) const REMOVAL_POLL: Duration = Duration::from_millis(100);

/// The bytes of an upload in one piece.
pub enum Assembled {
    /// A file in a spool.
    File(PathBuf),
    /// Few bytes.
    Memory(Bytes),
}

/// A verified NAR.
pub struct NarToStore {
    /// Its name.
    pub name: NarFileName,
    /// Its length in bytes.
    pub size: u64,
    /// The upload that brought it.
    pub upload: Uuid,
}

/// A NAR that is durable on a storage, and that the catalog does not know yet.
pub struct Stored {
    pub(super) name: NarFileName,
    pub(super) size: u64,
    pub(super) storage: Arc<CacheStorage>,
    pub(super) reservation: Reservation,
    pub(super) intent: Intent,
}

impl Stored {
    /// The storage that it lies on.
    pub fn storage(&self) -> &Arc<CacheStorage> {
        &self.storage
    }
}

impl NarStore {
    /// What an earlier attempt of this upload has stored, if it is still there.
    pub async fn find_parked(&self, cache: &Cache, nar: &NarToStore, parked: &Parked) -> Option<Stored> {
        let stored = parked.take(&nar.name)?;
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
    pub async fn wait_for_removal(&self, cache: &Cache, name: &NarFileName) -> Result<(), PushError> {
        let deadline = Instant::now() + REMOVAL;
        while self.catalog.is_shared()
            && Instant::now() < deadline
            && self.catalog.is_given_up(cache.id, &name.file_hash).await?
        {
            tokio::time::sleep(REMOVAL_POLL).await;
        }
        Ok(())
    }

    /// Puts the NAR on the storage that the strategy picks or, where that fails, on the next one. `assemble` makes the upload
    /// one piece.
    ///
    /// After a failed sync the kernel may have dropped bytes that it still seems to have, and reports that once. So the file
    /// that failed is never synced again: the storage removes it, `assemble` makes another, and that counts only if it has
    /// the hash that was verified. What is in memory is as it was.
    ///
    /// # Errors
    ///
    /// [`PushError::Lost`] if the upload has lost bytes that way.
    pub async fn put<F>(
        &self,
        cache: &Arc<Cache>,
        nar: &NarToStore,
        parked: &Parked,
        assemble: impl Fn() -> F + Sync,
    ) -> Result<Stored, PushError>
    where
        F: Future<Output = Result<Assembled, PushError>> + Send,
    {
        let key = layout::nar_key(&nar.name);
        let mut tried: Vec<Arc<str>> = Vec::new();
        loop {
            // Anew for each storage: the last one may have moved the file and then not made it durable.
            let assembled = assemble().await?;
            if let Assembled::File(file) = &assembled
                && parked.has_failed()
            {
                verify(file, nar).await?;
            }
            let spooled = match &assembled {
                Assembled::File(file) => Some(file.as_path()),
                Assembled::Memory(_) => None,
            };
            let reserve = || cache.storages().reserve_new(nar.size, spooled, &tried);
            let (reservation, storage) = loop {
                match reserve() {
                    // Another push may take the room before this one does.
                    Err(error) if error.is_full() => {
                        if !self.make_room_for_push(cache, nar.size, || reserve().is_ok()).await? {
                            return Err(error);
                        }
                    }
                    reserved => break reserved?,
                }
            };
            if !self.make_way(cache, &storage, &nar.name).await? {
                tried.push(storage.name().into());
                continue;
            }
            let intent = self.note(cache, &storage, &nar.name, nar.upload).await?;
            let stored = match &assembled {
                Assembled::File(file) => storage.storage.put_file(&key, file, Durability::Now).await,
                Assembled::Memory(bytes) => {
                    storage.storage.put_bytes(&key, bytes.clone(), Durability::Now).await
                }
            };
            let Err(error) = stored else {
                let (name, size) = (nar.name, nar.size);
                self.look_whether_crowded(cache);
                if cache.is_crowded_tier() {
                    self.look_for_moves();
                }
                return Ok(Stored { name, size, storage, reservation, intent });
            };
            parked.note_failure();
            if error.is_unfit() {
                return Err(PushError::unfit(&error));
            }
            match &assembled {
                // The disk that the upload lies on is at fault, not the one it was to go to.
                Assembled::File(file) if error.is_of_spool() => cache.storages().spool_failed(file, &error),
                _ => storage.failed(&error),
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
            let reason = format!("the state directory cannot be written to: {}", chain(&error));
            CatalogError::Unavailable { reason }.into()
        })
    }

    /// Ends the storing of a NAR that lies on `stored.storage`. `home` is where the catalog has the file now, if recording
    /// the path told; a path that was recorded with it is listed for the case that the catalog loses it.
    pub async fn finish_store(
        &self,
        cache: &Cache,
        stored: Stored,
        home: Option<StorageId>,
        recorded: Option<StorePathHash>,
    ) -> Result<(), PushError> {
        let Stored { name, size, storage, reservation, intent } = stored;
        let home = match home {
            Some(home) => Ok(Some(home)),
            None => {
                let nar = self.catalog.find_nar(cache.id, &name.file_hash).await;
                nar.map(|nar| nar.map(|nar| nar.storage))
            }
        };
        let mut is_done = true;
        match &home {
            Ok(Some(home)) if *home == storage.id => {
                reservation.commit();
                self.share_later(cache, &storage, name, size);
            }
            // Another daemon may be about to record the same file.
            Ok(_) if self.catalog.is_shared() => is_done = false,
            Ok(_) => {
                drop(reservation);
                if let Err(error) = storage.storage.delete(&layout::nar_key(&name)).await {
                    tracing::warn!(cache = cache.name(), error = %chain(&error), "could not remove a NAR that was not recorded");
                    is_done = false;
                }
            }
            // Whether it was recorded shows when the catalog answers again.
            Err(_) => is_done = false,
        }
        let list = recorded.zip(home.ok().flatten()).map(|(path, home)| self.listing(cache, home, path));
        blocking(move || {
            if let Some(list) = list {
                list();
            }
            match is_done {
                true => drop(intent),
                false => intent.keep(),
            }
        })
        .await
    }
}

/// Fails unless the file has the hash and the size that were verified.
async fn verify(file: &Path, nar: &NarToStore) -> Result<(), PushError> {
    let path = file.to_owned();
    let hashed = blocking(move || -> io::Result<_> {
        let mut file = Hashing::new(File::open(path)?);
        let size = io::copy(&mut file, &mut io::sink())?;
        Ok((file.hash(), size))
    });
    if hashed.await?? == (*nar.name.file_hash.as_bytes(), nar.size) {
        return Ok(());
    }
    tracing::error!(nar = %nar.name, "an upload has lost bytes after a failed sync: check the disk of its spool");
    Err(PushError::Lost)
}
