//! What a storage has and the catalog does not know there: copies of what lies elsewhere by now, files that no path needs,
//! and paths that were lost with a catalog.

use std::collections::HashSet;
use std::sync::Arc;

use admin_api::NoteLevel;
use bytes::Bytes;
use catalog::{CopyState, NarId, NarRecord, UnixTime};
use nar_storage::{Key, StorageError, layout};
use nix_formats::{FileHash, NarFileName, NarInfo, StorePathHash};

use super::super::JobError;
use super::super::job::Reporter;
use super::listing::Listing;
use super::{Examined, Options};
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::core::Core;

/// Rows that are looked up at once.
const PAGE: usize = 512;
/// Largest narinfo that is read.
const NARINFO_LIMIT: u64 = 4 << 20;

/// Removes from a storage that was emptied what is left of the paths that were moved away, and moves what the catalog does
/// not track.
pub(in crate::jobs) async fn sweep(
    core: &Arc<Core>,
    cache: &Arc<Cache>,
    storage: &Arc<CacheStorage>,
    reporter: &Reporter,
) -> Result<(), JobError> {
    let options = Options { rebuild: false, dry_run: false };
    let counts = admin_api::FsckStorage::default();
    let mut examined = Examined { core, cache, storage, options, recovers: false, reporter, counts };
    let objects = match Listing::read(storage.storage.as_ref(), reporter).await? {
        Ok(objects) => objects,
        Err(error) => {
            examined.problem(format!("what is left cannot be listed: {}", chain(&error)));
            return Ok(());
        }
    };
    let hashes: Vec<_> = objects.narinfos.keys().copied().collect();
    examined.remove_moved_narinfos(&hashes).await?;
    let names: Vec<_> = objects.nars.keys().copied().collect();
    examined.remove_moved_nars(&names).await?;
    examined.move_untracked().await
}

impl Examined<'_> {
    /// Deals with what is left in the listing.
    pub(super) async fn unknown(&mut self, listing: Listing) -> Result<(), JobError> {
        let hashes: Vec<_> = listing.narinfos.keys().copied().collect();
        let unknown = self.remove_moved_narinfos(&hashes).await?;
        let unknown = match self.recovers {
            true => self.leave_tombstoned(unknown).await?,
            false => self.remove_narinfos_of_removed(unknown).await?,
        };
        let mut needed = HashSet::new();
        let mut certain = true;
        for hash in unknown {
            self.reporter.check()?;
            self.reporter.advance(1);
            match self.unknown_path(&hash, &listing).await? {
                Some(file) => drop(needed.insert(file)),
                None => certain = false,
            }
        }
        let names: Vec<_> =
            listing.nars.keys().filter(|name| !needed.contains(&name.file_hash)).copied().collect();
        let orphans = self.remove_moved_nars(&names).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        if self.recovers {
            // They may be of paths that are gone from the catalog and whose narinfos were not written yet.
            self.problem(format!(
                "{} files that no path needs were left; the next fsck removes them",
                orphans.len()
            ));
        } else if !certain {
            self.problem(format!(
                "{} files that no path seems to need were left, because not every narinfo could be read",
                orphans.len()
            ));
        } else if self.core.catalog.is_shared() {
            // They may be on their way into the catalog.
            self.problem(format!(
                "{} files are in no daemon's catalog; they were left, because another daemon may be storing them",
                orphans.len()
            ));
        } else {
            for name in orphans {
                self.remove_orphan(&name).await?;
            }
        }
        Ok(())
    }

    /// Removes narinfos of paths whose NAR lies elsewhere by now, and gives back those of paths that are in no catalog, or
    /// only with a storage that is not in the configuration.
    async fn remove_moved_narinfos(
        &mut self,
        hashes: &[StorePathHash],
    ) -> Result<Vec<StorePathHash>, JobError> {
        let mut unknown = Vec::new();
        for page in hashes.chunks(PAGE) {
            self.reporter.check()?;
            let homes = self.core.catalog.path_homes(self.cache.id, page).await?;
            let copied = match self.cache.has_copies() {
                true => self.core.catalog.paths_copied_to(self.cache.id, self.storage.id, page).await?,
                false => HashSet::new(),
            };
            for hash in page {
                match homes.get(hash) {
                    None => unknown.push(*hash),
                    // Its narinfo belongs to a further copy, or to a file that becomes one.
                    Some(_) if copied.contains(hash) => {}
                    Some(home) if home.storage != self.storage.id && self.adopt(home.nar).await? => {}
                    // It was committed after the listing.
                    Some(home) if home.storage == self.storage.id => {}
                    // A storage that was given another name has what the catalog believes to be on the one of old.
                    Some(home) if self.cache.storage(home.storage).is_none() => unknown.push(*hash),
                    Some(home) if !self.cache.gives_from(home.storage) => {}
                    // The catalog may be older than a move.
                    Some(_) if self.is_lost_at_home(hash).await? => unknown.push(*hash),
                    Some(_) => {
                        self.remove(&layout::listing_key(hash)).await;
                        if self.remove(&layout::narinfo_key(hash)).await {
                            self.counts.orphans_removed += 1;
                        }
                    }
                }
            }
        }
        Ok(unknown)
    }

    /// Gives back those of the paths that may have been pushed or restored since an older catalog removed them: all that are
    /// described on the storage, but for those whose removal had not got to their files.
    async fn leave_tombstoned(&self, hashes: Vec<StorePathHash>) -> Result<Vec<StorePathHash>, JobError> {
        let tombstoned = self.core.catalog.tombstoned(self.cache.id, &hashes).await?;
        Ok(hashes.into_iter().filter(|hash| !tombstoned.contains(hash)).collect())
    }

    /// Removes narinfos of paths that were removed from the cache, and gives back those of paths that are in no catalog. A path
    /// that is in the trash comes back only when somebody restores it.
    async fn remove_narinfos_of_removed(
        &mut self,
        hashes: Vec<StorePathHash>,
    ) -> Result<Vec<StorePathHash>, JobError> {
        let mut unknown = Vec::new();
        for page in hashes.chunks(PAGE) {
            self.reporter.check()?;
            let removed = self.core.catalog.removed_of(self.cache.id, page).await?;
            for hash in page {
                if !removed.contains(hash) {
                    unknown.push(*hash);
                    continue;
                }
                self.remove(&layout::listing_key(hash)).await;
                if self.remove(&layout::narinfo_key(hash)).await {
                    self.counts.orphans_removed += 1;
                }
            }
            if !self.options.dry_run {
                // Those that were pushed or restored meanwhile have lost them.
                self.core.catalog.mark_unpublished(self.cache.id, page).await?;
            }
        }
        Ok(unknown)
    }

    /// Removes copies of NARs that lie elsewhere by now, and gives back those that are in no catalog.
    async fn remove_moved_nars(&mut self, names: &[NarFileName]) -> Result<Vec<NarFileName>, JobError> {
        let mut orphans = Vec::new();
        for page in names.chunks(PAGE) {
            self.reporter.check()?;
            let files: Vec<FileHash> = page.iter().map(|name| name.file_hash).collect();
            let homes = self.core.catalog.nar_homes(self.cache.id, &files).await?;
            let copied = match self.cache.has_copies() {
                true => self.core.catalog.copied_to(self.storage.id, &files).await?,
                false => HashSet::new(),
            };
            for name in page.iter().filter(|name| !copied.contains(&name.file_hash)) {
                match homes.get(&name.file_hash) {
                    None => orphans.push(*name),
                    Some(home) if home.storage == self.storage.id => {}
                    // The only copy that there may be.
                    Some(home) if home.damaged || !self.cache.gives_from(home.storage) => {}
                    Some(home) if self.lacks(home).await => {}
                    Some(home) if self.adopt(home.id).await? => {}
                    Some(_) => {
                        if self.remove(&layout::nar_key(name)).await {
                            self.counts.orphans_removed += 1;
                        }
                    }
                }
            }
        }
        Ok(orphans)
    }

    /// Takes a file that the storage has beside its home for a further copy, if one is missing. Returns whether it is one, or would
    /// be.
    async fn adopt(&self, nar: NarId) -> Result<bool, JobError> {
        if self.cache.further_copies() == 0 || self.storage.config().draining {
            return Ok(false);
        }
        let Some(record) = self.core.catalog.nar_by_id(nar).await? else { return Ok(false) };
        let name = NarFileName { file_hash: record.file_hash, compression: record.compression };
        let found = self.storage.storage.head(&layout::nar_key(&name)).await;
        if record.damaged || !matches!(found, Ok(Some(size)) if size == record.file_size) {
            return Ok(false);
        }
        let copies = self.core.catalog.copies_of(&[nar]).await?.remove(&nar).unwrap_or_default();
        let sound = copies.iter().filter(|copy| copy.state == CopyState::There).count() as u64;
        if sound >= self.cache.further_copies() {
            return Ok(false);
        }
        Ok(self.options.dry_run
            || self.core.catalog.adopt_copy(nar, self.storage.id, UnixTime::now()).await?)
    }

    /// Whether the NAR of a path is not where the catalog has it. Then the path is hidden, until it is recorded where its NAR
    /// is.
    async fn is_lost_at_home(&mut self, hash: &StorePathHash) -> Result<bool, JobError> {
        let Some(path) = self.core.catalog.find_path(self.cache.id, hash).await? else { return Ok(false) };
        if path.nar.damaged {
            return Ok(true);
        }
        if !self.lacks(&path.nar).await {
            return Ok(false);
        }
        if !self.options.dry_run {
            let name = NarFileName { file_hash: path.nar.file_hash, compression: path.nar.compression };
            let reason = "it is not where it was recorded last";
            self.cache.hide_nar(&self.core.catalog, (path.nar.id, path.nar.storage), &name, reason).await?;
        }
        Ok(true)
    }

    /// Whether a NAR is not on the storage where the catalog has it. One that cannot be looked at counts as there.
    async fn lacks(&self, nar: &NarRecord) -> bool {
        let Some(home) = self.cache.storage(nar.storage) else { return true };
        let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
        match home.storage.head(&layout::nar_key(&name)).await {
            Ok(size) => size != Some(nar.file_size),
            Err(_) => false,
        }
    }

    async fn remove_orphan(&mut self, name: &NarFileName) -> Result<(), JobError> {
        self.reporter.check()?;
        if self.options.dry_run {
            self.counts.orphans_removed += 1;
            return Ok(());
        }
        match self.core.nar_store.remove_unrecorded(self.cache, self.storage, name).await {
            Ok(true) => self.counts.orphans_removed += 1,
            Ok(false) => {}
            Err(error) => {
                self.problem(format!("{name} is needed by no path and cannot be removed: {}", chain(&error)))
            }
        }
        Ok(())
    }

    /// Removes an object that is known to be there. Returns whether it is gone, or would be.
    pub(super) async fn remove(&mut self, key: &Key) -> bool {
        if self.options.dry_run {
            return true;
        }
        match self.storage.storage.delete(key).await {
            Ok(_) => true,
            Err(error) => {
                self.problem(format!("{key} cannot be removed: {}", chain(&error)));
                false
            }
        }
    }

    /// A path that the catalog does not know. Returns the file it needs, unless that cannot be told.
    async fn unknown_path(
        &mut self,
        hash: &StorePathHash,
        listing: &Listing,
    ) -> Result<Option<FileHash>, JobError> {
        let text = match self.read_narinfo(hash).await {
            Ok(text) => text,
            Err(error) => {
                self.problem(format!("{hash}.narinfo cannot be read: {error}"));
                return Ok(None);
            }
        };
        let parsed = std::str::from_utf8(&text).ok().and_then(|text| NarInfo::parse(text).ok());
        let described = parsed.filter(|narinfo| narinfo.store_path.hash() == hash).and_then(|narinfo| {
            let name = NarFileName::parse(narinfo.url.strip_prefix("nar/")?).ok()?;
            Some((narinfo, name))
        });
        let Some((narinfo, name)) = described else {
            self.problem(format!("{hash}.narinfo is malformed"));
            return Ok(None);
        };
        let file = name.file_hash;
        if self.options.rebuild {
            self.rebuild(narinfo, name, listing).await?;
        } else {
            self.counts.unknown_paths += 1;
        }
        Ok(Some(file))
    }

    async fn read_narinfo(&self, hash: &StorePathHash) -> Result<Bytes, String> {
        let opened = self.storage.storage.open(&layout::narinfo_key(hash), None, None).await;
        let blob = opened.map_err(|error: StorageError| chain(&error))?;
        if blob.total_size > NARINFO_LIMIT {
            return Err(format!("it has {} bytes", blob.total_size));
        }
        blob.into_bytes().await.map_err(|error| chain(&error))
    }

    /// Moves logs, realisations and debug links to another storage.
    async fn move_untracked(&mut self) -> Result<(), JobError> {
        use futures_util::TryStreamExt;
        let mut keys = Vec::new();
        for prefix in ["log/", "realisations/", "build-trace-v2/", "debuginfo/"] {
            let found: Result<Vec<_>, _> = self.storage.storage.list(prefix).try_collect().await;
            match found {
                Ok(found) => keys.extend(found),
                Err(error) => self.problem(format!("{prefix} cannot be listed: {}", chain(&error))),
            }
        }
        for (key, size) in keys {
            self.reporter.check()?;
            if let Err(error) = self.move_small(&key, size).await {
                self.problem(format!("{key} stays where it is: {error}"));
            }
        }
        Ok(())
    }

    async fn move_small(&mut self, key: &Key, size: u64) -> Result<(), String> {
        let blob = self.storage.storage.open(key, Some(size), None).await.map_err(|error| chain(&error))?;
        self.cache.storages().copy_small(key, blob, self.storage).await.map_err(|error| chain(&error))?;
        self.remove(key).await;
        Ok(())
    }

    pub(super) fn note(&self, text: String) {
        self.reporter.note(NoteLevel::Warn, format!("{}: {text}", self.place()));
    }
}
