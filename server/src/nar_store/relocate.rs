//! Moving a stored NAR to another storage.
//!
//! The copy is durable before the catalog says that the NAR lies there, the files beside it are written before those at
//! the old place go, and the NAR at the old place goes last. A crash leaves a copy too many at most, which is noted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use catalog::{MoveOutcome, NarRecord};
use nar_storage::{Context, Durability, Operation, Reservation, Storage, StorageError, layout};
use nix_formats::{FileHash, NarFileName, StorePathHash};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::NarStore;
use super::intent::Intent;
use super::put::Stored;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError};
use crate::chain::chain;

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// What became of a NAR that was to be moved.
#[derive(Debug)]
pub enum Relocated {
    /// It lies on this storage now.
    Moved(String),
    /// It was not there any more: removed, healed elsewhere, or moved by someone else.
    Gone,
    /// It is not what it should be, and hidden now.
    Damaged(String),
    /// Its storage cannot be read from.
    Unreadable(StorageError),
}

impl NarStore {
    /// Moves a NAR from `from` to the storage that the strategy picks among those that are not excluded.
    pub async fn relocate(
        &self,
        cache: &Arc<Cache>,
        nar: &NarRecord,
        from: &Arc<CacheStorage>,
        exclude: &[Arc<str>],
    ) -> Result<Relocated, PushError> {
        let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
        let _storing = self.locks.lock(cache.id, nar.file_hash).await;
        let mut tried = exclude.to_vec();
        tried.push(from.name().into());
        // A storage with a copy is no place for the same file.
        let places = self.other_places(cache, nar.id).await?;
        tried.extend(places.iter().map(|storage| storage.name().into()));
        match self.copy_elsewhere(cache, from, (&name, nar.file_size), Uuid::new_v4(), tried).await? {
            Ok(copy) => self.switch(cache, nar, &name, from, copy).await,
            Err(SourceFault::Unreadable(error)) if error.is_lost() => {
                cache.hide_nar(&self.catalog, (nar.id, from.id), &name, &chain(&error)).await?;
                Ok(Relocated::Damaged(chain(&error)))
            }
            Err(SourceFault::Unreadable(error)) => {
                from.cannot_be_read(&error);
                Ok(Relocated::Unreadable(error))
            }
            Err(SourceFault::Changed) => {
                let reason = "its bytes do not have its hash";
                cache.hide_nar(&self.catalog, (nar.id, from.id), &name, reason).await?;
                Ok(Relocated::Damaged(reason.to_owned()))
            }
        }
    }

    /// Moves a NAR that `upload` stored just now, and that the catalog does not know, off a storage that the cache has ceased
    /// to have.
    pub async fn move_stored(
        &self,
        cache: &Arc<Cache>,
        stored: Stored,
        upload: Uuid,
    ) -> Result<Stored, PushError> {
        let Stored { name, size, storage, intent: leaving, .. } = stored;
        let Copied { to, reservation, intent } = match self
            .copy_elsewhere(cache, &storage, (&name, size), upload, Vec::new())
            .await
        {
            Ok(Ok(copy)) => copy,
            failed => {
                leaving.keep();
                return Err(match failed {
                    Ok(Err(SourceFault::Unreadable(error))) => {
                        tracing::warn!(cache = cache.name(), error = %chain(&error), "could not read back a NAR whose storage was taken away");
                        PushError::StorageFailing
                    }
                    Err(error) => error,
                    Ok(_) => PushError::Internal,
                });
            }
        };
        // Its storage may be used no more. If it comes back, the file is found by its note.
        if let Err(error) = storage.storage.delete(&layout::nar_key(&name)).await {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not remove what was moved away");
            leaving.keep();
        }
        Ok(Stored { name, size, storage: to, reservation, intent })
    }

    /// Copies a NAR from `from` to the storage that the strategy picks among those that are not `tried`, or where that one
    /// fails, to the next one. The copy is noted under `tag`, see [`NarStore::note`].
    async fn copy_elsewhere(
        &self,
        cache: &Cache,
        from: &CacheStorage,
        (name, size): (&NarFileName, u64),
        tag: Uuid,
        mut tried: Vec<Arc<str>>,
    ) -> Result<Result<Copied, SourceFault>, PushError> {
        loop {
            let reserve = || cache.storages().reserve_near(size, from.config().tier, &tried);
            let (reservation, to) = match reserve() {
                Err(PushError::Full) => {
                    self.make_room(cache, size, || reserve().is_ok()).await?;
                    reserve()?
                }
                reserved => reserved?,
            };
            let intent = self.note(cache, &to, name, tag).await?;
            match copy(from, &to, name, size, Durability::Now).await {
                Ok(()) => return Ok(Ok(Copied { to, reservation, intent })),
                Err(CopyError::Source(fault)) => return Ok(Err(fault)),
                Err(CopyError::Target(error)) => {
                    to.failed(&error);
                    intent.keep();
                    tried.push(to.name().into());
                }
                Err(CopyError::Interrupted) => return Err(PushError::Internal),
            }
        }
    }

    /// Makes the copy the one that counts, and removes the other.
    async fn switch(
        &self,
        cache: &Arc<Cache>,
        nar: &NarRecord,
        name: &NarFileName,
        from: &Arc<CacheStorage>,
        copy: Copied,
    ) -> Result<Relocated, PushError> {
        let Copied { to, reservation, intent } = copy;
        // For a crash between here and the end.
        let leaving = self.note(cache, from, name, Uuid::new_v4()).await?;
        let outcome = self.catalog.move_nar(nar.id, from.id, to.id).await;
        let (moved, paths) = match outcome {
            Ok(MoveOutcome::Moved { nar, paths }) => (nar, paths),
            Ok(MoveOutcome::Gone) => {
                // Another daemon may have moved it there.
                if self.catalog.is_shared() || to.storage.delete(&layout::nar_key(name)).await.is_err() {
                    intent.keep();
                }
                return Ok(Relocated::Gone);
            }
            Err(error) => {
                // Which of the two copies counts shows when the catalog answers again.
                intent.keep();
                leaving.keep();
                return Err(error.into());
            }
        };
        self.touch(from);
        self.touch(&to);
        reservation.commit();
        self.share_later(cache, &to, *name, nar.file_size);
        cache.storages().removed(from.id, nar.file_size);
        cache.nars.forget(&nar.file_hash);
        for path in &paths {
            cache.index.forget_reply(path);
        }
        for record in self.catalog.paths_with_nar(moved).await? {
            self.publisher.publish(cache, &record, None).await;
        }
        if let Err(error) = remove_moved(from, name, &paths).await {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not remove what was moved away");
            leaving.keep();
        }
        Ok(Relocated::Moved(to.name().to_owned()))
    }
}

/// Removes a NAR that lies on another storage now, after the files that stood beside it for the paths that need it.
pub(super) async fn remove_moved(
    from: &CacheStorage,
    name: &NarFileName,
    paths: &[StorePathHash],
) -> Result<bool, StorageError> {
    for path in paths {
        from.storage.delete(&layout::narinfo_key(path)).await?;
        from.storage.delete(&layout::listing_key(path)).await?;
    }
    from.storage.delete(&layout::nar_key(name)).await
}

struct Copied {
    to: Arc<CacheStorage>,
    reservation: Reservation,
    intent: Intent,
}

/// Why a NAR cannot be copied, wherever to.
pub(super) enum SourceFault {
    /// It cannot be read.
    Unreadable(StorageError),
    /// It is not what it should be.
    Changed,
}

pub(super) enum CopyError {
    Source(SourceFault),
    Target(StorageError),
    Interrupted,
}

/// Copies a NAR, checking its hash on the way. Durable when this returns, if `durability` says so.
pub(super) async fn copy(
    from: &CacheStorage,
    to: &CacheStorage,
    name: &NarFileName,
    size: u64,
    durability: Durability,
) -> Result<(), CopyError> {
    let key = layout::nar_key(name);
    let spooled = to.storage.spool_dir().join(format!("move-{}", Uuid::new_v4()));
    let (source, target, path, file_hash) =
        (from.storage.clone(), to.storage.clone(), spooled.clone(), name.file_hash);
    let reading = key.clone();
    let copied = tokio::task::spawn_blocking(move || {
        let reader = source
            .open_blocking(&reading)
            .map_err(|error| CopyError::Source(SourceFault::Unreadable(error)))?;
        let copied = copy_verified(reader, source.name(), &path, target.as_ref(), file_hash, size);
        if copied.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        copied
    });
    copied.await.map_err(|_| CopyError::Interrupted)??;
    let put = to.storage.put_file(&key, &spooled, durability).await;
    if put.is_err() {
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(spooled)).await;
    }
    put.map_err(CopyError::Target)
}

fn copy_verified(
    mut reader: impl Read,
    source: &str,
    path: &Path,
    target: &dyn Storage,
    file_hash: FileHash,
    size: u64,
) -> Result<(), CopyError> {
    let failed = |error| CopyError::Target(StorageError::from_spool(target.name(), error));
    let mut file = File::create_new(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut copied = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let context = Context { storage: source.into(), operation: Operation::Open, key: None };
                return Err(CopyError::Source(SourceFault::Unreadable(StorageError::from_io(
                    context, error,
                ))));
            }
        };
        hasher.update(&buffer[..read]);
        copied += read as u64;
        file.write_all(&buffer[..read]).map_err(failed)?;
    }
    let same = copied == size && <[u8; 32]>::from(hasher.finalize()) == *file_hash.as_bytes();
    if same { Ok(()) } else { Err(CopyError::Source(SourceFault::Changed)) }
}
