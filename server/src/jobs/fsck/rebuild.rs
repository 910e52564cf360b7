//! Taking a path into the catalog that only a storage knows.

use admin_api::NoteLevel;
use catalog::{CommitOutcome, NewNar, PathCommit, UnixTime};
use nar_storage::layout;
use nix_formats::{FileHash, NarFileName, NarHash, NarInfo};
use sha2::{Digest, Sha256};

use super::super::JobError;
use super::Examined;
use super::listing::Listing;
use crate::cache::push::decoder;

impl Examined<'_> {
    /// Records the path of a narinfo, with the signatures that it has.
    ///
    /// A narinfo with a signature of one of the cache's keys was written by us after its NAR was verified; then the size of
    /// the file is all that is looked at, and `scrub` does the rest. Without such a signature the NAR is verified as in a
    /// push.
    pub(super) async fn rebuild(
        &mut self,
        narinfo: NarInfo,
        name: NarFileName,
        listing: &Listing,
    ) -> Result<(), JobError> {
        let path = narinfo.store_path.base_name();
        let Some(size) = self.size_of(&name, listing).await else {
            self.problem(format!("{path} has no NAR: nar/{name} is missing"));
            return Ok(());
        };
        if narinfo.file_size.is_some_and(|announced| announced != size)
            || narinfo.file_hash.is_some_and(|announced| announced != name.file_hash)
        {
            self.problem(format!("{path}: nar/{name} is not the file that the narinfo describes"));
            return Ok(());
        }
        if self.options.dry_run {
            self.counts.paths_rebuilt += 1;
            return Ok(());
        }
        if !self.is_ours(&narinfo)
            && let Err(reason) = self.verify(&narinfo, &name).await
        {
            self.problem(format!("{path} was not taken: {reason}"));
            return Ok(());
        }
        let hash = *narinfo.store_path.hash();
        let commit = PathCommit {
            cache: self.cache.id,
            path: narinfo.store_path,
            nar: NewNar {
                storage: self.storage.id,
                file_hash: name.file_hash,
                compression: narinfo.compression,
                file_size: size,
                nar_hash: narinfo.nar_hash,
                nar_size: narinfo.nar_size,
            },
            references: narinfo.references,
            deriver: narinfo.deriver.map(|deriver| deriver.base_name()),
            ca: narinfo.ca,
            signatures: narinfo.signatures.iter().map(ToString::to_string).collect(),
            upload: None,
            turns: None,
            unavailable: Vec::new(),
            created_at: UnixTime::now(),
        };
        match self.app.catalog.commit_path(commit).await {
            Ok(CommitOutcome::AlreadyPresent(_)) => {}
            Ok(CommitOutcome::Created { revealed, .. } | CommitOutcome::Healed { revealed, .. }) => {
                self.counts.paths_rebuilt += 1;
                for path in revealed.into_iter().chain([hash]) {
                    self.cache.index.forget_reply(&path);
                    self.cache.index.insert(path);
                }
                self.cache.nars.forget(&name.file_hash);
            }
            Err(catalog::CatalogError::ContradictingNar { .. }) => {
                self.problem(format!("{path}: another path describes nar/{name} differently"));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Size of the file, which may have been taken out of the listing because another path needs it too.
    async fn size_of(&self, name: &NarFileName, listing: &Listing) -> Option<u64> {
        match listing.nars.get(name) {
            Some(size) => Some(*size),
            None => self.storage.storage.head(&layout::nar_key(name)).await.ok().flatten(),
        }
    }

    fn is_ours(&self, narinfo: &NarInfo) -> bool {
        let fingerprint = narinfo.fingerprint();
        let keys = self.cache.keys().published();
        narinfo.signatures.iter().any(|signature| keys.iter().any(|key| key.verify(&fingerprint, signature)))
    }

    /// Reads the NAR and compares it with what the narinfo says.
    async fn verify(&self, narinfo: &NarInfo, name: &NarFileName) -> Result<(), String> {
        self.reporter.note(
            NoteLevel::Info,
            format!(
                "{} is signed by none of the cache's keys; its NAR is read",
                narinfo.store_path.base_name()
            ),
        );
        let storage = self.storage.storage.clone();
        let (key, compression) = (layout::nar_key(name), narinfo.compression);
        let found = tokio::task::spawn_blocking(move || {
            let file = Hashing::new(storage.open_blocking(&key).map_err(|error| error.to_string())?);
            let file = std::sync::Arc::new(std::sync::Mutex::new(file));
            let nar = decoder(Shared(file.clone()), compression).map_err(|error| error.to_string())?;
            let mut nar = Hashing::new(nar);
            let summary = nix_formats::nar::parse(&mut nar, &mut ()).map_err(|error| error.to_string())?;
            drop(nar.inner);
            let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::io::copy(&mut *file, &mut std::io::sink()).map_err(|error| error.to_string())?;
            let file_hash = FileHash::from_bytes(file.hasher.clone().finalize().into());
            Ok::<_, String>((file_hash, NarHash::from_bytes(nar.hasher.finalize().into()), summary.size))
        });
        let (file_hash, nar_hash, nar_size) = found.await.map_err(|error| error.to_string())??;
        if file_hash != name.file_hash {
            return Err("its file does not have its hash".to_owned());
        }
        if (nar_hash, nar_size) != (narinfo.nar_hash, narinfo.nar_size) {
            return Err("its NAR is not the one that the narinfo describes".to_owned());
        }
        Ok(())
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new() }
    }
}

impl<R: std::io::Read> std::io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// A reader that is looked at again after it was given away.
struct Shared<R>(std::sync::Arc<std::sync::Mutex<R>>);

impl<R: std::io::Read> std::io::Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).read(buffer)
    }
}
