//! Taking a path into the catalog that only a storage knows.

use admin_api::NoteLevel;
use catalog::{CommitOutcome, NewNar, PathCommit, UnixTime};
use nar_storage::layout;
use nix_formats::{FileHash, NarFileName, NarHash, NarInfo};

use super::super::JobError;
use super::Examined;
use super::hashing::Shared;
use super::listing::Listing;
use crate::chain::chain;
use crate::decode::decoder;
use crate::hashing::Hashing;
use crate::ingest::{Examined as Address, Subject};

impl Examined<'_> {
    /// Records the path of a narinfo, with the signatures that it has and those of the cache's own keys.
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
        let mut narinfo = narinfo;
        if let Err(reason) = self.settle_content_address(&mut narinfo, &name).await {
            self.problem(format!("{path} was not taken: {reason}"));
            return Ok(());
        }
        // The cache may have been another's before, or have lost its keys.
        narinfo.signatures.extend(self.cache.keys().missing_signatures(&narinfo));
        if !self.is_ours(&narinfo) {
            self.note_unsigned(&path);
        }
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
            pushed_by: None,
            turns: None,
            unavailable: Vec::new(),
            copies: self.cache.further_copies_beside(self.storage.id),
            created_at: UnixTime::now(),
        };
        self.commit(commit).await
    }

    /// Records a path whose NAR is on the storage and sound.
    pub(super) async fn commit(&mut self, commit: PathCommit) -> Result<(), JobError> {
        let (hash, file_hash) = (*commit.path.hash(), commit.nar.file_hash);
        let path = commit.path.base_name();
        match self.core.catalog.commit_path(commit).await {
            Ok(CommitOutcome::AlreadyPresent(_)) => {}
            Ok(CommitOutcome::Created { revealed, .. } | CommitOutcome::Healed { revealed, .. }) => {
                self.counts.paths_rebuilt += 1 + revealed.len() as u64;
                for path in revealed.into_iter().chain([hash]) {
                    self.cache.index.forget_reply(&path);
                    self.cache.index.insert(path);
                }
                self.cache.nars.forget(&file_hash);
            }
            Err(catalog::CatalogError::ContradictingNar { .. }) => {
                self.problem(format!("{path}: another path describes its NAR {file_hash} differently"));
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

    /// Nobody's signature covers the content address, so it is compared with the rest.
    async fn settle_content_address(&self, narinfo: &mut NarInfo, name: &NarFileName) -> Result<(), String> {
        let Some(address) = &narinfo.ca else { return Ok(()) };
        let subject = Subject {
            path: &narinfo.store_path,
            references: &narinfo.references,
            nar_hash: &narinfo.nar_hash,
        };
        let is_right = match subject.examine(address).map_err(|error| chain(&error))? {
            Address::Right => true,
            Address::Unprovable => false,
            Address::InContents(proof) => {
                let storage = self.storage.storage.clone();
                let (key, compression) = (layout::nar_key(name), narinfo.compression);
                let compared = tokio::task::spawn_blocking(move || {
                    let file = storage.open_blocking(&key).map_err(std::io::Error::other)?;
                    proof.is_met_by(decoder(file, compression)?)
                });
                let compared = compared.await.map_err(|error| chain(&error))?;
                match compared.map_err(|error| chain(&error))? {
                    Some(met) => met.map(|()| true).map_err(|error| chain(&error))?,
                    None => false,
                }
            }
        };
        if !is_right {
            narinfo.ca = None;
        }
        Ok(())
    }

    /// In a cache that its clients sign.
    fn note_unsigned(&self, path: &str) {
        let keys = self.cache.keys().published();
        let Some(key) = keys.first() else { return };
        let text =
            format!("{path} has no signature by {key}; clients refuse it until the key's owner signs it");
        self.reporter.note(NoteLevel::Warn, format!("{}: {text}", self.place()));
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
            let text = |error: std::io::Error| chain(&error);
            let file = storage.open_blocking(&key).map_err(|error| chain(&error))?;
            let file = Shared::new(Hashing::new(file));
            let mut nar = Hashing::new(decoder(file.clone(), compression).map_err(text)?);
            let summary =
                nix_formats::nar::parse(&mut nar, &mut ()).map_err(|error| crate::chain::chain(&error))?;
            let nar_hash = NarHash::from_bytes(nar.hash());
            drop(nar);
            let file_hash = FileHash::from_bytes(file.finish().map_err(text)?);
            Ok::<_, String>((file_hash, nar_hash, summary.size))
        });
        let (file_hash, nar_hash, nar_size) = found.await.map_err(|error| chain(&error))??;
        if file_hash != name.file_hash {
            return Err("its file does not have its hash".to_owned());
        }
        if (nar_hash, nar_size) != (narinfo.nar_hash, narinfo.nar_size) {
            return Err("its NAR is not the one that the narinfo describes".to_owned());
        }
        Ok(())
    }
}
