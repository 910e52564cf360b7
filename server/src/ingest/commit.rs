//! The last step of every push: verify, then store, record, publish (see `record.rs`).
//!
//! Order matters. The NAR is durable before the catalog knows it, and the catalog knows the path, durably, before the
//! client hears so. A crash before the record leaves at most a file that the next start removes (see `nar_store/intent.rs`); a
//! crash after it leaves at most files beside the NAR to be written again (see `publish`).

use std::io;
use std::sync::Arc;

use catalog::{NarRecord, NewNar, PathCommit, StorageId, UnixTime};
use nar_storage::layout;
use nix_formats::NarFileName;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::Ingest;
use super::description::PathDescription;
use super::record::Signed;
use super::signatures::Repeated;
use crate::cache::{Cache, PushError};
use crate::decode::decoder;
use crate::nar_store::NarToStore;
use crate::uploads::{Attempt, Digest, Upload};

impl Ingest {
    /// Commits an upload in a task of its own, which goes on when the client hangs up. Afterwards the upload is gone, unless
    /// the same request can succeed later.
    pub(super) async fn commit_detached(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        upload: Arc<Upload>,
        parts: Vec<(u32, Attempt)>,
        description: PathDescription,
        completing: OwnedMutexGuard<()>,
    ) -> Result<(), PushError> {
        let (ingest, cache) = (self.clone(), cache.clone());
        let task = self.commits.spawn(traces::carried(async move {
            let file = description.file_hash;
            let result = ingest.commit(&cache, &upload, &parts, description).await;
            if result.is_ok() {
                ingest.nar_store.copy_pushed(&cache, file).await;
            }
            match &result {
                // Recording the path has taken back the note of the upload.
                Ok(()) => ingest.uploads.finish(upload.id),
                Err(error) if error.may_pass() => upload.touch(),
                Err(_) => ingest.uploads.end(upload.id),
            }
            drop(completing);
            result
        }));
        task.await.map_err(|_| PushError::Internal)?
    }

    async fn commit(
        &self,
        cache: &Arc<Cache>,
        upload: &Arc<Upload>,
        parts: &[(u32, Attempt)],
        description: PathDescription,
    ) -> Result<(), PushError> {
        // A push never changes the contents of a path that is there, so its bytes need not be looked at.
        if cache.can_serve(&self.catalog, description.path.hash()).await? {
            self.keep_first(cache, &description).await?;
            self.catalog.record_finished_upload(upload.id, cache.id, *description.path.hash()).await?;
            return Ok(());
        }
        let compression = description.compression.unwrap_or(upload.compression);
        upload.spool.seal(parts.to_vec(), description.nar_size);
        let digest = upload.digest(parts, compression, self.uploads.digest_slots()).await?;
        check(&description, &digest)?;
        let spool = upload.spool.clone();
        let open = move || decoder(spool.follow(), compression);
        let description = self.with_content_address(description, open).await?;
        // Before anything is stored that cannot be signed.
        let signed = Signed::new(cache, &description)?;
        let nar = NarToStore {
            name: NarFileName { file_hash: digest.file_hash, compression },
            size: digest.file_size,
            upload: upload.id,
        };
        let commit = new_commit(cache, &description, &nar);
        self.store_and_record(cache, upload, (nar, parts), (commit, signed), digest.contents).await
    }

    /// Commits a path whose NAR the cache has already. See [`Ingest::commit_file`].
    pub(super) async fn commit_known_detached(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        description: PathDescription,
    ) -> Result<(), PushError> {
        let (ingest, cache) = (self.clone(), cache.clone());
        let task = self.commits.spawn(traces::carried(async move {
            let file = description.file_hash;
            ingest.commit_known(&cache, description).await?;
            ingest.nar_store.copy_pushed(&cache, file).await;
            Ok(())
        }));
        task.await.map_err(|_| PushError::Internal)?
    }

    /// For a push of a path that is there, by a client that sent the NAR as well: it did not know, as two builders that end
    /// at the same time do not. What was pushed first stays, and the client has what it wants.
    async fn keep_first(&self, cache: &Arc<Cache>, description: &PathDescription) -> Result<(), PushError> {
        if self.merge_signatures(cache, description).await? == Repeated::Different {
            let path = description.path.base_name();
            tracing::info!(
                cache = cache.name(),
                path,
                "pushed again with other contents; the first push stays"
            );
        }
        Ok(())
    }

    async fn commit_known(&self, cache: &Arc<Cache>, description: PathDescription) -> Result<(), PushError> {
        // Else the file could be collected as garbage between being found and being recorded.
        let storing = self.nar_store.lock_file(cache.id, description.file_hash).await;
        let known = self.catalog.find_nar(cache.id, &description.file_hash).await?;
        let Some(nar) = known else {
            return Err(PushError::NarMissing(description.file_hash.to_string()));
        };
        if !cache.gives(&self.catalog, &nar).await? {
            return Err(PushError::NarMissing(description.file_hash.to_string()));
        }
        compare("file size", description.file_size, Some(nar.file_size))?;
        compare("NAR hash", Some(description.nar_hash), Some(nar.nar_hash))?;
        compare("NAR size", Some(description.nar_size), Some(nar.nar_size))?;
        if description.compression.is_some_and(|compression| compression != nar.compression) {
            return Err(PushError::Invalid(format!("the NAR is compressed with {}", nar.compression)));
        }
        if cache.can_serve(&self.catalog, description.path.hash()).await? {
            drop(storing);
            if let Some(address) = &description.ca {
                description.subject().examine(address)?;
            }
            // The NAR did not come along, so all that this can be about is the description of the path.
            if self.merge_signatures(cache, &description).await? == Repeated::Different {
                return Err(PushError::Contradiction(description.path.base_name()));
            }
            // What is acknowledged has to outlive a crash, and so has the use that keeps it.
            let used = (cache.id, *description.path.hash(), UnixTime::now());
            return Ok(self.catalog.touch(vec![used]).await?);
        }
        let places = cache.places_of(&self.catalog, &nar).await?;
        let storage =
            places.into_iter().find_map(|place| cache.storage(place).filter(|_| cache.gives_from(place)));
        let storage = storage.ok_or(PushError::StorageFailing)?;
        let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
        let key = layout::nar_key(&name);
        let open =
            move || decoder(storage.storage.open_blocking(&key).map_err(io::Error::other)?, nar.compression);
        let description = self.with_content_address(description, open).await?;
        let mut signed = Signed::new(cache, &description)?;
        let commit = known_commit(cache, &description, &nar);
        self.record_known(cache, commit, &mut signed).await
    }
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

fn new_commit(cache: &Cache, description: &PathDescription, nar: &NarToStore) -> PathCommit {
    let upload = Some(nar.upload);
    let nar = NewNar {
        // Known once it is stored.
        storage: StorageId(0),
        file_hash: nar.name.file_hash,
        compression: nar.name.compression,
        file_size: nar.size,
        nar_hash: description.nar_hash,
        nar_size: description.nar_size,
    };
    path_commit(cache, description, nar, upload)
}

fn known_commit(cache: &Cache, description: &PathDescription, nar: &NarRecord) -> PathCommit {
    let nar = NewNar {
        storage: nar.storage,
        file_hash: nar.file_hash,
        compression: nar.compression,
        file_size: nar.file_size,
        nar_hash: nar.nar_hash,
        nar_size: nar.nar_size,
    };
    path_commit(cache, description, nar, None)
}

fn path_commit(
    cache: &Cache,
    description: &PathDescription,
    nar: NewNar,
    upload: Option<Uuid>,
) -> PathCommit {
    PathCommit {
        cache: cache.id,
        path: description.path.clone(),
        nar,
        references: description.references.clone(),
        deriver: description.deriver.as_ref().map(|deriver| deriver.base_name()),
        ca: description.ca.clone(),
        // These, and the number of copies, are known when it is recorded.
        signatures: Vec::new(),
        upload,
        pushed_by: description.pushed_by,
        turns: None,
        unavailable: Vec::new(),
        copies: 0,
        created_at: UnixTime::now(),
    }
}
