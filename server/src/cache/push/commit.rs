//! The last step of every push: verify, store, record, publish.
//!
//! Order matters. The NAR is durable before the catalog knows it, and the catalog knows the path, durably, before the
//! client hears so. A crash before the record leaves at most a file that the next start removes (see `intent`); a crash
//! after it leaves at most files beside the NAR to be written again (see `publish`).

use std::path::PathBuf;
use std::sync::Arc;

use catalog::{CommitOutcome, NarRecord, NewNar, PathCommit, UnixTime};
use nar_storage::{Durability, layout};
use nix_formats::{NarFileName, Signature};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::description::PathDescription;
use super::digest::Digest;
use super::error::PushError;
use super::spool::Attempt;
use super::upload::Upload;
use super::{Pusher, blocking};
use crate::cache::contents::Contents;
use crate::cache::publish::publish;
use crate::cache::{Cache, CacheStorage};

impl Pusher {
    /// Commits an upload in a task of its own, which goes on when the client hangs up. The upload is gone afterwards,
    /// whatever the result.
    pub(super) async fn commit_detached(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        upload: Arc<Upload>,
        parts: Vec<(u32, Attempt)>,
        description: PathDescription,
        completing: OwnedMutexGuard<()>,
    ) -> Result<(), PushError> {
        let (pusher, cache) = (self.clone(), cache.clone());
        let task = self.commits.spawn(async move {
            let result = pusher.commit(&cache, &upload, &parts, description).await;
            pusher.uploads.remove(upload.id);
            drop(completing);
            result
        });
        task.await.map_err(|_| PushError::Internal)?
    }

    async fn commit(
        &self,
        cache: &Arc<Cache>,
        upload: &Arc<Upload>,
        parts: &[(u32, Attempt)],
        description: PathDescription,
    ) -> Result<(), PushError> {
        // A push never changes a path that is there, so its bytes need not be looked at.
        if cache.index.contains(description.path.hash()) {
            self.catalog.record_finished_upload(upload.id, cache.id, *description.path.hash()).await?;
            return Ok(());
        }
        let compression = description.compression.unwrap_or(upload.compression);
        upload.spool.seal(parts.to_vec(), description.nar_size);
        let digest = upload.digest(parts, compression, &self.uploads.digest_slots).await?;
        check(&description, &digest)?;
        let _keys_stay = cache.keys_in_use.read().await;
        let signatures = cache.keys().sign(&description.fingerprint(), &description.offered)?;
        let spool = upload.spool.clone();
        let parts = parts.to_vec();
        let file = blocking(move || spool.assemble(&parts)).await??;
        let nar = NarToStore {
            name: NarFileName { file_hash: digest.file_hash, compression },
            size: digest.file_size,
            file,
        };
        let storage = &cache.storages[upload.storage];
        let commit = new_commit(cache, storage, &description, &nar, signatures, Some(upload.id));
        self.store_and_record(cache, storage, nar, commit, Some(digest.contents), upload.id).await
    }

    /// Stores the NAR unless the cache has it, records the path and publishes it.
    async fn store_and_record(
        &self,
        cache: &Arc<Cache>,
        storage: &CacheStorage,
        nar: NarToStore,
        commit: PathCommit,
        contents: Option<Contents>,
        upload: Uuid,
    ) -> Result<(), PushError> {
        let known = self.catalog.find_nar(cache.id, &nar.name.file_hash).await?;
        if known.is_some_and(|known| is_usable(cache, &known)) {
            return self.record(cache, commit, contents).await;
        }
        let key = layout::nar_key(&nar.name);
        let (intents, tag) = (self.intents.clone(), upload.to_string());
        let (cache_name, storage_name) = (cache.name().to_owned(), storage.storage.name().to_owned());
        let nar_name = nar.name.to_string();
        let intent = blocking(move || intents.note(&cache_name, &storage_name, &nar_name, &tag)).await??;
        storage.storage.put_file(&key, &nar.file, Durability::Now).await?;
        let recorded = self.record(cache, commit, contents).await;
        if recorded.is_err() && matches!(self.catalog.find_nar(cache.id, &nar.name.file_hash).await, Ok(None))
        {
            // Nobody else recorded the same file meanwhile, so nobody misses it.
            if let Err(error) = storage.storage.delete(&key).await {
                tracing::warn!(%error, "could not remove a NAR that was not recorded");
            }
        }
        blocking(move || drop(intent)).await?;
        recorded
    }

    async fn record(
        &self,
        cache: &Arc<Cache>,
        commit: PathCommit,
        contents: Option<Contents>,
    ) -> Result<(), PushError> {
        let hash = *commit.path.hash();
        let file_hash = commit.nar.file_hash;
        match self.catalog.commit_path(commit).await? {
            CommitOutcome::AlreadyPresent(_) => {
                cache.index.insert(hash);
                return Ok(());
            }
            CommitOutcome::Created { path, revealed, .. } | CommitOutcome::Healed { path, revealed, .. } => {
                cache.nars.forget(&file_hash);
                cache.index.forget_reply(&hash);
                revealed.into_iter().for_each(|path| cache.index.insert(path));
                // The path is safe already: what fails here is done again in the background.
                if let Err(error) = publish(cache, &path, contents).await {
                    tracing::warn!(cache = cache.name(), path = %path.path.base_name(), %error, "could not publish a path yet");
                }
            }
        }
        cache.index.insert(hash);
        self.published.notify_one();
        tracing::debug!(cache = cache.name(), path = %hash, "path committed");
        Ok(())
    }

    /// Commits a path whose NAR the cache has already. See [`Pusher::commit_file`].
    pub(super) async fn commit_known_detached(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        description: PathDescription,
    ) -> Result<(), PushError> {
        let (pusher, cache) = (self.clone(), cache.clone());
        let task = self.commits.spawn(async move { pusher.commit_known(&cache, description).await });
        task.await.map_err(|_| PushError::Internal)?
    }

    async fn commit_known(&self, cache: &Arc<Cache>, description: PathDescription) -> Result<(), PushError> {
        let known = self.catalog.find_nar(cache.id, &description.file_hash).await?;
        let Some(nar) = known.filter(|nar| is_usable(cache, nar)) else {
            return Err(PushError::NarMissing(description.file_hash.to_string()));
        };
        compare("file size", description.file_size, Some(nar.file_size))?;
        compare("NAR hash", Some(description.nar_hash), Some(nar.nar_hash))?;
        compare("NAR size", Some(description.nar_size), Some(nar.nar_size))?;
        if description.compression.is_some_and(|compression| compression != nar.compression) {
            return Err(PushError::Invalid(format!("the NAR is compressed with {}", nar.compression)));
        }
        let _keys_stay = cache.keys_in_use.read().await;
        let signatures = cache.keys().sign(&description.fingerprint(), &description.offered)?;
        if cache.index.contains(description.path.hash()) {
            return Ok(());
        }
        let commit = known_commit(cache, &description, &nar, signatures);
        self.record(cache, commit, None).await
    }
}

/// Whether a NAR that the catalog knows can be read, so that it need not be stored again.
fn is_usable(cache: &Cache, nar: &NarRecord) -> bool {
    !nar.damaged && cache.storage(nar.storage).is_some()
}

/// A verified NAR file in the spool.
struct NarToStore {
    name: NarFileName,
    size: u64,
    file: PathBuf,
}

fn check(description: &PathDescription, digest: &Digest) -> Result<(), PushError> {
    compare("file hash", Some(description.file_hash), Some(digest.file_hash))?;
    compare("file size", description.file_size, Some(digest.file_size))?;
    compare("NAR hash", Some(description.nar_hash), Some(digest.nar_hash))?;
    compare("NAR size", Some(description.nar_size), Some(digest.contents.nar_size))
}

/// What was not announced cannot differ.
fn compare<T: PartialEq + ToString>(
    what: &'static str,
    announced: Option<T>,
    actual: Option<T>,
) -> Result<(), PushError> {
    match (announced, actual) {
        (Some(announced), Some(actual)) if announced != actual => {
            Err(PushError::Mismatch { what, announced: announced.to_string(), actual: actual.to_string() })
        }
        _ => Ok(()),
    }
}

fn new_commit(
    cache: &Cache,
    storage: &CacheStorage,
    description: &PathDescription,
    nar: &NarToStore,
    signatures: Vec<Signature>,
    upload: Option<Uuid>,
) -> PathCommit {
    let nar = NewNar {
        storage: storage.id,
        file_hash: nar.name.file_hash,
        compression: nar.name.compression,
        file_size: nar.size,
        nar_hash: description.nar_hash,
        nar_size: description.nar_size,
    };
    path_commit(cache, description, nar, signatures, upload)
}

fn known_commit(
    cache: &Cache,
    description: &PathDescription,
    nar: &NarRecord,
    signatures: Vec<Signature>,
) -> PathCommit {
    let nar = NewNar {
        storage: nar.storage,
        file_hash: nar.file_hash,
        compression: nar.compression,
        file_size: nar.file_size,
        nar_hash: nar.nar_hash,
        nar_size: nar.nar_size,
    };
    path_commit(cache, description, nar, signatures, None)
}

fn path_commit(
    cache: &Cache,
    description: &PathDescription,
    nar: NewNar,
    signatures: Vec<Signature>,
    upload: Option<Uuid>,
) -> PathCommit {
    PathCommit {
        cache: cache.id,
        path: description.path.clone(),
        nar,
        references: description.references.clone(),
        deriver: description.deriver.as_ref().map(|deriver| deriver.base_name()),
        ca: description.ca.clone(),
        signatures: signatures.iter().map(ToString::to_string).collect(),
        upload,
        created_at: UnixTime::now(),
        turns: None,
        unavailable: Vec::new(),
    }
}
