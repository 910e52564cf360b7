//! What the catalog has that the storage lacks.

use std::collections::HashSet;

use admin_api::NoteLevel;
use catalog::{NarId, NarRecord, NewNar, PathCommit, PathRecord, UnixTime};
use nar_storage::layout;
use nix_formats::{FileHash, NarFileName, StorePathHash};

use super::super::JobError;
use super::Examined;
use super::listing::Listing;
use crate::cache::Cache;
use crate::cache::narinfo::{recorded_narinfo, stored_narinfo};
use crate::chain::chain;
use crate::hashing::Hashing;

/// Rows that are looked up at once.
const PAGE: u64 = 512;

impl Examined<'_> {
    /// Looks for every NAR of the catalog, and takes those that are there out of the listing.
    pub(super) async fn compare_nars(&mut self, listing: &mut Listing) -> Result<(), JobError> {
        let mut after: Option<NarId> = None;
        loop {
            let page = self.core.catalog.files_on(self.storage.id, after, PAGE).await?;
            let Some(last) = page.last().map(|nar| nar.id) else { return Ok(()) };
            for nar in &page {
                self.reporter.check()?;
                let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
                let found = listing.nars.remove(&name);
                match (nar.damaged, found) {
                    (false, found) => {
                        self.counts.files_checked += 1;
                        if found != Some(nar.file_size) {
                            self.look_again(nar, &name).await?;
                        }
                    }
                    (true, Some(size)) if size == nar.file_size => self.restore(nar, &name).await?,
                    (true, _) => {}
                }
                self.reporter.advance(1);
            }
            after = Some(last);
        }
    }

    /// A NAR that was found missing once, and is there: its disk was not, or someone put it back.
    async fn restore(&mut self, nar: &NarRecord, name: &NarFileName) -> Result<(), JobError> {
        let storage = self.storage.storage.clone();
        let (key, expected) = (layout::nar_key(name), nar.file_hash);
        let hashed = tokio::task::spawn_blocking(move || {
            let mut file = Hashing::new(storage.open_blocking(&key).ok()?);
            std::io::copy(&mut file, &mut std::io::sink()).ok()?;
            Some(FileHash::from_bytes(file.hash()) == expected)
        });
        if !matches!(hashed.await, Ok(Some(true))) {
            return Ok(());
        }
        for path in self.core.catalog.paths_with_nar(nar.id).await? {
            self.note_restored(&path);
            if self.options.dry_run {
                self.counts.paths_rebuilt += 1;
            } else {
                self.commit(self.commit_of(path)).await?;
            }
        }
        Ok(())
    }

    fn note_restored(&self, path: &PathRecord) {
        let text = format!("{}: its NAR is there and sound again", path.path.base_name());
        self.reporter.note(NoteLevel::Info, format!("{}: {text}", self.place()));
    }

    /// A path as it is, to be committed again.
    fn commit_of(&self, path: PathRecord) -> PathCommit {
        PathCommit {
            cache: self.cache.id,
            path: path.path,
            nar: NewNar {
                storage: self.storage.id,
                file_hash: path.nar.file_hash,
                compression: path.nar.compression,
                file_size: path.nar.file_size,
                nar_hash: path.nar.nar_hash,
                nar_size: path.nar.nar_size,
            },
            references: path.references,
            deriver: path.deriver,
            ca: path.ca,
            signatures: path.signatures,
            upload: None,
            pushed_by: path.pushed_by.and_then(|token| token.parse().ok()),
            turns: None,
            unavailable: Vec::new(),
            copies: self.cache.further_copies_beside(self.storage.id),
            // So that it is not taken for one that nobody has used for long.
            created_at: UnixTime::now(),
        }
    }

    /// It may have been stored after the listing came to its place.
    async fn look_again(&mut self, nar: &NarRecord, name: &NarFileName) -> Result<(), JobError> {
        let reason = match self.storage.storage.head(&layout::nar_key(name)).await {
            Ok(Some(size)) if size == nar.file_size => return Ok(()),
            Ok(Some(size)) => {
                self.counts.wrong_size += 1;
                format!("it has {size} bytes instead of {}", nar.file_size)
            }
            Ok(None) => {
                self.counts.missing += 1;
                "it is missing".to_owned()
            }
            Err(error) => {
                self.problem(format!("{name} cannot be looked at: {}", chain(&error)));
                return Ok(());
            }
        };
        self.note(format!("{name}: {reason}; its paths are hidden until they are pushed again"));
        if self.options.dry_run {
            return Ok(());
        }
        self.cache.hide_nar(&self.core.catalog, (nar.id, self.storage.id), name, &reason).await?;
        Ok(())
    }

    /// Looks for the narinfo of every path whose NAR is here, and takes those that are right out of the listing.
    pub(super) async fn compare_paths(&mut self, listing: &mut Listing) -> Result<(), JobError> {
        let mut after: Option<StorePathHash> = None;
        loop {
            self.reporter.check()?;
            let page = self.core.catalog.list_paths(self.cache.id, after, PAGE).await?;
            let Some(last) = page.last().map(|path| *path.path.hash()) else { return Ok(()) };
            let copied = match self.cache.has_copies() {
                true => {
                    let hashes: Vec<StorePathHash> = page.iter().map(|path| *path.path.hash()).collect();
                    self.core.catalog.paths_copied_to(self.cache.id, self.storage.id, &hashes).await?
                }
                false => HashSet::new(),
            };
            let here = page
                .iter()
                .filter(|path| path.nar.storage == self.storage.id || copied.contains(path.path.hash()));
            let wrong: Vec<_> = here
                .filter(|path| !is_right(self.cache, path, listing))
                .map(|path| *path.path.hash())
                .collect();
            self.sign_unsigned(&page).await?;
            if !wrong.is_empty() {
                self.counts.narinfos_rewritten += match self.options.dry_run {
                    true => wrong.len() as u64,
                    false => self.core.catalog.mark_unpublished(self.cache.id, &wrong).await?,
                };
            }
            after = Some(last);
        }
    }
}

impl Examined<'_> {
    /// Signs those of the paths here that lack a signature of the cache's own keys, as those of a storage that came with
    /// paths may. What is in the catalog was verified.
    async fn sign_unsigned(&mut self, page: &[PathRecord]) -> Result<(), JobError> {
        let keys = self.cache.keys();
        let mut unsigned: u64 = 0;
        for path in page.iter().filter(|path| path.nar.storage == self.storage.id && !path.nar.damaged) {
            let narinfo = recorded_narinfo(path);
            let missing = keys.missing_signatures(&narinfo);
            if keys.is_of_server() {
                // Those of further keys are added whenever the narinfo is rendered.
                if missing.len() < keys.published().len() {
                    continue;
                }
            } else if keys.published().is_empty() || keys.is_signed_by_client(&narinfo) {
                continue;
            }
            unsigned += 1;
            if !missing.is_empty() && !self.options.dry_run {
                let signatures = missing.iter().map(ToString::to_string).collect();
                self.core.catalog.add_signatures(self.cache.id, *path.path.hash(), signatures).await?;
                self.cache.index.forget_reply(path.path.hash());
            }
        }
        if unsigned == 0 {
            return Ok(());
        }
        let place = self.place();
        if keys.is_of_server() {
            let done = if self.options.dry_run { "fsck signs them" } else { "they are signed now" };
            let text = format!("{place}: {unsigned} paths lacked a signature of the cache; {done}");
            self.reporter.note(NoteLevel::Info, text);
        } else {
            self.problem(format!(
                "{unsigned} paths lack the signature of the client that signs the cache, which only it can add"
            ));
        }
        Ok(())
    }
}

/// Whether the narinfo of a path is there, as far as its size tells. One that is not needed is taken for right.
fn is_right(cache: &Cache, path: &PathRecord, listing: &mut Listing) -> bool {
    let found = listing.narinfos.remove(path.path.hash());
    path.nar.damaged || found == Some(stored_narinfo(cache, path).to_string().len() as u64)
}
