//! Making further copies of NARs, and removing those that are too many.
//!
//! A copy is claimed in the catalog for a storage, made, and durable with the files beside it before it counts. A crash leaves a
//! claim that expires and a file that is noted. What is too much is removed only while the copies that stay are there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{
    CatalogError, CopyId, CopyRecord, CopyState, CopyToMake, NarId, StorageId, Survey, Surveyed, UnixTime,
};
use futures_util::{StreamExt, stream};
use nar_storage::{Durability, Key, Reservation, StorageError, layout};
use nix_formats::{FileHash, NarFileName, StorePathHash};
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::NarStore;
use super::collect::{Freed, RemoveError};
use super::intent::Intent;
use super::relocate::{CopyError, SourceFault, copy};
use crate::cache::narinfo::stored_narinfo;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError};
use crate::chain::chain;
use crate::config::CopiesBeforeAnswer;
use crate::counters::{COPIED_BYTES, COPIES_FAILED, COPIES_MADE};
use crate::fail_points::reached;

/// Copies that are claimed and recorded at once.
const BATCH: u64 = 16;
/// Copies of a batch that are made at the same time.
const AT_ONCE: usize = 2;
/// Files that were just pushed and are copied before the backlog.
const MOST_FRESH: usize = 4096;
/// A round of the backlog ends after so many copies that could not be made.
const MOST_FAILURES: u64 = 64;
/// How often a claim is renewed, and the age from which on it counts as that of a daemon that died.
const RENEWAL: Duration = Duration::from_secs(60);
const EXPIRY: i64 = 600;
/// The time for a copy, and the slowest rate in bytes per second beyond that.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 1 << 20;
/// Largest listing that is copied; a larger one is made anew.
const LISTING_LIMIT: u64 = 64 << 20;
/// Copies that are removed at once.
const REMOVED_AT_ONCE: u64 = 64;
/// How long a push waits for the removal of the same file.
const REMOVAL: Duration = Duration::from_secs(20);
/// How often it looks.
const REMOVAL_POLL: Duration = Duration::from_millis(100);

/// What a round of copying came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyRound {
    /// Copies that were made.
    pub made: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Copies that could not be made now.
    pub failed: u64,
    /// Where in the backlog the next round goes on. `None` at its end.
    pub after: Option<(i64, CopyId)>,
}

/// Files that were just pushed.
#[derive(Default)]
pub(super) struct Fresh(Mutex<VecDeque<(catalog::CacheId, NarId)>>);

impl Fresh {
    fn add(&self, cache: catalog::CacheId, nar: NarId) {
        let mut fresh = self.0.lock();
        // The rest is found in the backlog.
        if fresh.len() < MOST_FRESH {
            fresh.push_back((cache, nar));
        }
    }

    fn take(&self, cache: catalog::CacheId, most: usize) -> Vec<NarId> {
        let mut fresh = self.0.lock();
        let mut taken = Vec::new();
        fresh.retain(|(of, nar)| {
            let takes = *of == cache && taken.len() < most;
            if takes {
                taken.push(*nar);
            }
            !takes
        });
        taken
    }
}

/// A copy that is about to be made.
struct Task {
    wanted: CopyToMake,
    name: NarFileName,
    to: Arc<CacheStorage>,
    /// None where it takes the place of a damaged one.
    reservation: Option<Reservation>,
    /// The storages to copy from.
    from: Vec<Arc<CacheStorage>>,
}

/// A copy that was made, and is durable but for the files beside it.
struct Made {
    task: Task,
    intent: Intent,
    /// The files beside it.
    beside: Vec<Key>,
    /// The paths that they are of.
    paths: Vec<StorePathHash>,
    /// Those of them without a listing.
    incomplete: Vec<StorePathHash>,
}

impl NarStore {
    /// Has the copies made of a file that was just pushed. Returns when they are durable, if the configuration says that a push is
    /// answered then.
    pub async fn copy_pushed(&self, cache: &Arc<Cache>, file: FileHash) {
        if cache.further_copies() == 0 {
            return;
        }
        let nar = match self.catalog.find_nar(cache.id, &file).await {
            Ok(Some(nar)) => nar,
            Ok(None) => return,
            Err(error) => {
                return tracing::warn!(cache = cache.name(), error = %chain(&error), "copies of a push are left for later");
            }
        };
        if cache.config().copies_before_answer == CopiesBeforeAnswer::All {
            match self.make_copies_of(cache, &[nar.id]).await {
                Ok(round) if round.failed == 0 => return,
                Ok(round) => {
                    let failed = round.failed;
                    tracing::debug!(cache = cache.name(), nar = %file, failed, "a push is answered with fewer copies than there are to be");
                }
                Err(error) => {
                    tracing::warn!(cache = cache.name(), nar = %file, error = %chain(&error), "copies of a push are left for later");
                }
            }
        } else {
            self.fresh.add(cache.id, nar.id);
        }
        self.copies_due.notify_one();
    }

    /// Has the worker look for copies to be made.
    pub fn look_for_copies(&self) {
        self.copies_due.notify_one();
    }

    /// Waits until a file was pushed of which copies are to be made.
    pub async fn wait_for_copies(&self) {
        self.copies_due.notified().await;
    }

    /// Gives up the claims of daemons that died.
    pub async fn expire_copy_claims(&self) -> Result<u64, CatalogError> {
        self.catalog.expire_copy_claims(UnixTime(UnixTime::now().0 - EXPIRY)).await
    }

    /// Gives up the claims of an earlier run. Others share the catalog on a server, and theirs are to expire.
    pub async fn expire_copies_of_last_run(&self) -> Result<(), CatalogError> {
        if !self.catalog.is_shared() && self.catalog.is_writable() {
            self.catalog.expire_copy_claims(UnixTime(i64::MAX)).await?;
        }
        Ok(())
    }

    /// Makes the copies of files that were just pushed.
    pub async fn copy_fresh(
        &self,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<CopyRound, CatalogError> {
        let mut round = CopyRound::default();
        while !stop.is_cancelled() {
            let nars = self.fresh.take(cache.id, BATCH as usize);
            if nars.is_empty() {
                break;
            }
            round.add(self.make_copies_of(cache, &nars).await?);
        }
        Ok(round)
    }

    async fn make_copies_of(&self, cache: &Arc<Cache>, nars: &[NarId]) -> Result<CopyRound, CatalogError> {
        let mut wanted = Vec::new();
        for nar in nars {
            wanted.extend(self.catalog.copies_to_make_of(*nar).await?);
        }
        self.make_batch(cache, wanted).await
    }

    /// Makes copies of the backlog behind `after`, the most exposed first.
    pub async fn work_off_copies(
        &self,
        cache: &Arc<Cache>,
        after: Option<(i64, CopyId)>,
        stop: &CancellationToken,
    ) -> Result<CopyRound, CatalogError> {
        let mut round = CopyRound { after, ..CopyRound::default() };
        while !stop.is_cancelled() && round.failed < MOST_FAILURES {
            let batch = self.catalog.copies_to_make(cache.id, round.after, BATCH).await?;
            round.after = batch.last().map(|last| last.place);
            if batch.is_empty() {
                break;
            }
            round.add(self.make_batch(cache, batch).await?);
            // What was pushed meanwhile is exposed as well.
            round.add(self.copy_fresh(cache, stop).await?);
        }
        Ok(round)
    }

    async fn make_batch(
        &self,
        cache: &Arc<Cache>,
        wanted: Vec<CopyToMake>,
    ) -> Result<CopyRound, CatalogError> {
        let mut round = CopyRound::default();
        let mut tasks = Vec::new();
        for wanted in wanted {
            match plan(cache, wanted) {
                Some(task) => tasks.push(task),
                None => round.failed += 1,
            }
        }
        if tasks.is_empty() {
            return Ok(round);
        }
        let claims = tasks.iter().map(|task| (task.wanted.copy.id, task.to.id)).collect();
        let begun = self.catalog.begin_copies(claims, UnixTime::now()).await?;
        reached("copies-claimed");
        tasks.retain(|task| begun.contains(&task.wanted.copy.id));
        let making = stream::iter(tasks).map(|task| self.make(cache, task)).buffer_unordered(AT_ONCE);
        let made = self.renewing(&begun, making.collect::<Vec<_>>()).await;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for outcome in made {
            match outcome {
                Ok(made) => done.push(made),
                Err(id) => failed.push(id),
            }
        }
        failed.extend(sync_beside(&mut done).await);
        reached("copies-synced");
        round.failed += failed.len() as u64;
        COPIES_FAILED.add(failed.len() as u64);
        let ids = done.iter().map(|made| made.task.wanted.copy.id).collect();
        let finished = match self.catalog.finish_copies(ids, UnixTime::now()).await {
            Ok(finished) => finished,
            Err(error) => {
                // Whether they count shows when the catalog answers again.
                done.into_iter().for_each(|made| made.intent.keep());
                return Err(error);
            }
        };
        reached("copies-recorded");
        for made in done {
            let size = made.task.wanted.nar.file_size;
            if finished.contains(&made.task.wanted.copy.id) {
                round.made += 1;
                round.bytes += size;
                COPIES_MADE.increment();
                COPIED_BYTES.add(size);
                cache.copying.add(size);
                self.finish_copy(cache, made).await?;
            } else {
                self.withdraw_copy(cache, made).await?;
            }
        }
        if !failed.is_empty() {
            self.catalog.give_up_copies(failed).await?;
        }
        Ok(round)
    }

    /// Renews the claims of copies as long as some work on them takes.
    async fn renewing<T>(&self, copies: &[CopyId], work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            match timeout(RENEWAL, work.as_mut()).await {
                Ok(done) => return done,
                Err(_) => {
                    if let Err(error) = self.catalog.renew_copies(copies.to_vec(), UnixTime::now()).await {
                        tracing::debug!(error = %chain(&error), "could not renew the claims of copies");
                    }
                }
            }
        }
    }

    /// Makes a copy and writes the files beside it. The error is its id.
    async fn make(&self, cache: &Arc<Cache>, task: Task) -> Result<Made, CopyId> {
        let id = task.wanted.copy.id;
        let intent = match self.note(cache, &task.to, &task.name, Uuid::new_v4()).await {
            Ok(intent) => intent,
            Err(error) => {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "could not note a copy");
                return Err(id);
            }
        };
        let size = task.wanted.nar.file_size;
        for from in &task.from {
            let patience = PATIENCE + Duration::from_secs(size / SLOWEST);
            let copying = copy(from, &task.to, &task.name, size, Durability::Now);
            let error = match timeout(patience, copying).await {
                Ok(Ok(())) => {
                    reached("copy-stored");
                    match self.write_beside(cache, &task, from).await {
                        Ok((beside, paths, incomplete)) => {
                            return Ok(Made { task, intent, beside, paths, incomplete });
                        }
                        Err(error) => {
                            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not write the files beside a copy");
                            intent.keep();
                            return Err(id);
                        }
                    }
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    from.failed(&from.silent(nar_storage::Operation::Open));
                    continue;
                }
            };
            match error {
                CopyError::Source(fault) => self.source_failed(cache, &task, from, fault).await,
                CopyError::Target(error) => {
                    tracing::warn!(cache = cache.name(), error = %chain(&error), "could not store a copy");
                    task.to.failed(&error);
                    break;
                }
                CopyError::Interrupted => break,
            }
        }
        intent.keep();
        Err(id)
    }

    async fn source_failed(&self, cache: &Cache, task: &Task, from: &CacheStorage, fault: SourceFault) {
        let reason = match fault {
            SourceFault::Unreadable(error) if error.is_lost() => chain(&error),
            SourceFault::Unreadable(error) => {
                if from.is_alive().await {
                    // A bad sector: everything else can be read.
                    chain(&error)
                } else {
                    return from.cannot_be_read(&error);
                }
            }
            SourceFault::Changed => "its bytes do not have its hash".to_owned(),
        };
        let damaged = (task.wanted.nar.id, from.id);
        if let Err(error) = cache.hide_nar(&self.catalog, damaged, &task.name, &reason).await {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not record that a copy is damaged");
        }
    }

    /// Writes the narinfo and the listing of each path that needs a file to the storage of the copy. Returns what was written, the
    /// paths, and those of them without a listing.
    async fn write_beside(
        &self,
        cache: &Arc<Cache>,
        task: &Task,
        from: &CacheStorage,
    ) -> Result<(Vec<Key>, Vec<StorePathHash>, Vec<StorePathHash>), PushError> {
        let (mut beside, mut paths, mut incomplete) = (Vec::new(), Vec::new(), Vec::new());
        for record in self.catalog.paths_with_nar(task.wanted.nar.id).await? {
            let hash = *record.path.hash();
            paths.push(hash);
            let listing = layout::listing_key(&hash);
            match read_listing(from, &listing).await {
                Some(bytes) => {
                    let put = task.to.storage.put_bytes(&listing, bytes, Durability::Later).await;
                    put.map_err(|error| target_failed(&task.to, &error))?;
                    beside.push(listing);
                }
                None => incomplete.push(hash),
            }
            let narinfo = layout::narinfo_key(&hash);
            let text = stored_narinfo(cache, &record).to_string().into();
            let put = task.to.storage.put_bytes(&narinfo, text, Durability::Later).await;
            put.map_err(|error| target_failed(&task.to, &error))?;
            beside.push(narinfo);
        }
        reached("copy-described");
        Ok((beside, paths, incomplete))
    }

    /// Ends the making of a copy that counts.
    async fn finish_copy(&self, cache: &Arc<Cache>, made: Made) -> Result<(), CatalogError> {
        let Made { task, intent, paths, mut incomplete, .. } = made;
        if let Some(reservation) = task.reservation {
            reservation.commit();
        }
        self.touch(&task.to);
        cache.nars.forget(&task.name.file_hash);
        // Paths may have come and gone meanwhile.
        let now: Vec<StorePathHash> = self
            .catalog
            .paths_with_nar(task.wanted.nar.id)
            .await?
            .iter()
            .map(|record| *record.path.hash())
            .collect();
        incomplete.extend(now.iter().filter(|path| !paths.contains(path)));
        if !incomplete.is_empty() {
            self.catalog.mark_unpublished(cache.id, &incomplete).await?;
            self.publisher.publish_again();
        }
        for path in paths.iter().filter(|path| !now.contains(path)) {
            remove_description(&task.to, path).await;
        }
        let _ = crate::cache::blocking(move || drop(intent)).await;
        Ok(())
    }

    /// Removes a copy that does not count, as its file is gone.
    async fn withdraw_copy(&self, cache: &Arc<Cache>, made: Made) -> Result<(), CatalogError> {
        let Made { task, intent, paths, .. } = made;
        let _storing = self.locks.lock(cache.id, task.name.file_hash).await;
        let home = self.catalog.find_nar(cache.id, &task.name.file_hash).await?;
        let is_needed = home.is_some_and(|nar| nar.storage == task.to.id)
            || self.is_copied_to(cache, &task.to, task.name.file_hash).await?;
        if is_needed {
            return Ok(());
        }
        // Another daemon may be storing the same file.
        if self.catalog.is_shared() {
            intent.keep();
            return Ok(());
        }
        for path in &paths {
            remove_description(&task.to, path).await;
        }
        if task.to.storage.delete(&layout::nar_key(&task.name)).await.is_err() {
            intent.keep();
        }
        Ok(())
    }
}

impl NarStore {
    /// Compares some files behind `after` with the copies that there should be. Returns how far it came.
    pub async fn survey_copies(
        &self,
        cache: &Arc<Cache>,
        survey: &Survey,
        after: Option<NarId>,
        limit: u64,
    ) -> Result<Surveyed, CatalogError> {
        let surveyed = self.catalog.survey_copies(survey, after, limit).await?;
        if surveyed.moved > 0 {
            cache.nars.forget_all();
        }
        for path in &surveyed.revealed {
            cache.index.forget_reply(path);
            cache.show_recorded(&self.catalog, *path);
        }
        Ok(surveyed)
    }

    /// Removes copies that are too many, or whose files the cache does not have any more, from the storages that answer. Returns how
    /// many went.
    pub async fn remove_leaving_copies(
        &self,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<u64, RemoveError> {
        let mut removed = 0;
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            if self.is_ahead(storage).await? {
                continue;
            }
            let mut after = None;
            while !stop.is_cancelled() {
                let now = UnixTime::now();
                let page = self.catalog.claim_leaving_copies(storage.id, after, REMOVED_AT_ONCE, now).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                let went = self.remove_copies(cache, storage, &page).await?;
                removed += went;
                if went == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn remove_copies(
        &self,
        cache: &Arc<Cache>,
        storage: &Arc<CacheStorage>,
        copies: &[CopyRecord],
    ) -> Result<u64, RemoveError> {
        reached("copies-leaving");
        let (mut gone, mut kept, mut needed, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for copy in copies {
            let name = NarFileName { file_hash: copy.file_hash, compression: copy.compression };
            let _storing = self.locks.lock(cache.id, copy.file_hash).await;
            if let Some(nar) = copy.nar {
                if !self.others_are_there(cache, nar, storage, &name, copy.file_size).await? {
                    needed.push(copy.id);
                    continue;
                }
                for record in self.catalog.paths_with_nar(nar).await? {
                    remove_description(storage, record.path.hash()).await;
                }
            }
            match storage.storage.delete(&layout::nar_key(&name)).await {
                Ok(_) => {
                    keys.push(layout::nar_key(&name));
                    gone.push((copy.id, copy.file_size));
                }
                Err(error) => {
                    storage.failed(&error);
                    kept.push(copy.id);
                }
            }
        }
        if let Err(error) = storage.storage.sync(&keys).await {
            storage.failed(&error);
        }
        reached("copies-removed");
        if !kept.is_empty() {
            self.catalog.keep_leaving_copies(kept).await?;
        }
        if !needed.is_empty() {
            self.catalog.retain_copies(needed).await?;
        }
        self.catalog.forget_copies(gone.iter().map(|(id, _)| *id).collect()).await?;
        for (_, size) in &gone {
            cache.storages().removed(storage.id, *size);
        }
        if !gone.is_empty() {
            cache.nars.forget_all();
            self.touch(storage);
        }
        Ok(gone.len() as u64)
    }

    /// Whether all copies that are to stay are there, as far as their sizes tell. One that is not is to be replaced.
    async fn others_are_there(
        &self,
        cache: &Arc<Cache>,
        nar: NarId,
        leaving: &CacheStorage,
        name: &NarFileName,
        size: u64,
    ) -> Result<bool, CatalogError> {
        let Some(home) = self.catalog.find_nar(cache.id, &name.file_hash).await? else { return Ok(true) };
        if home.id != nar || home.damaged {
            return Ok(false);
        }
        let mut there = 0;
        for place in cache.places_of(&self.catalog, &home).await? {
            let Some(storage) = cache.storage(place).filter(|storage| storage.id != leaving.id) else {
                continue;
            };
            if storage.liveness.is_lost() {
                continue;
            }
            match storage.storage.head(&layout::nar_key(name)).await {
                Ok(Some(found)) if found == size => there += 1,
                Ok(_) => {
                    cache.hide_nar(&self.catalog, (nar, place), name, "it is missing").await?;
                }
                Err(error) => storage.failed(&error),
            }
        }
        Ok(there >= u64::from(cache.config().copies.max(1)))
    }

    /// Removes the further copies of files that nothing needs, from the storages that answer. The caller holds the locks of the files.
    pub(super) async fn remove_copies_of(
        &self,
        cache: &Cache,
        nars: &[NarId],
    ) -> Result<Freed, CatalogError> {
        let mut freed = Freed::default();
        let mut by_storage: HashMap<StorageId, Vec<CopyRecord>> = HashMap::new();
        for copy in self.catalog.copies_of(nars).await?.into_values().flatten() {
            // Whoever is making one finds out that it is not needed.
            if let Some(storage) = copy.storage.filter(|_| copy.state != CopyState::Copying) {
                by_storage.entry(storage).or_default().push(copy);
            }
        }
        let mut gone = Vec::new();
        for (storage, copies) in by_storage {
            let Some(storage) = cache.storage(storage).filter(|storage| !storage.liveness.is_lost()) else {
                continue;
            };
            if self.is_ahead(&storage).await? {
                continue;
            }
            let mut keys = Vec::new();
            for copy in copies {
                let name = NarFileName { file_hash: copy.file_hash, compression: copy.compression };
                let key = layout::nar_key(&name);
                match storage.storage.delete(&key).await {
                    Ok(_) => {
                        freed.bytes += copy.file_size;
                        gone.push((copy.id, storage.clone(), copy.file_size));
                        keys.push(key);
                    }
                    // It is tried again as one that is to be removed.
                    Err(error) => {
                        storage.failed(&error);
                        break;
                    }
                }
            }
            if let Err(error) = storage.storage.sync(&keys).await {
                storage.failed(&error);
            }
            self.touch(&storage);
        }
        reached("gc-copies-removed");
        self.catalog.forget_copies(gone.iter().map(|(id, ..)| *id).collect()).await?;
        for (_, storage, size) in gone {
            cache.storages().removed(storage.id, size);
        }
        Ok(freed)
    }

    /// Removes the files beside further copies of paths that were deleted, from the storages that answer.
    pub(super) async fn remove_beside_copies(&self, cache: &Arc<Cache>) -> Result<(), CatalogError> {
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            let mut after = None;
            loop {
                let page = self.catalog.tombstones(storage.id, after, REMOVED_AT_ONCE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                match self.remove_tombstoned(cache, storage, &page).await {
                    Ok(()) => {}
                    Err(RemoveError::Catalog(error)) => return Err(error),
                    Err(RemoveError::Storage(error)) => {
                        storage.failed(&error);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The storages with something of a file, beside its home.
    pub(super) async fn other_places(
        &self,
        cache: &Cache,
        nar: NarId,
    ) -> Result<Vec<Arc<CacheStorage>>, CatalogError> {
        if !cache.has_copies() {
            return Ok(Vec::new());
        }
        let copies = self.catalog.copies_of(&[nar]).await?.remove(&nar).unwrap_or_default();
        Ok(copies.into_iter().filter_map(|copy| cache.storage(copy.storage?)).collect())
    }

    /// Whether a storage has, or is about to have, a further copy of a file.
    pub(super) async fn is_copied_to(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        file: FileHash,
    ) -> Result<bool, CatalogError> {
        Ok(cache.has_copies() && !self.catalog.copied_to(storage.id, &[file]).await?.is_empty())
    }

    /// Waits while a copy of a file is removed from a storage that is to store it anew. Returns whether it may.
    pub(super) async fn make_way(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        name: &NarFileName,
    ) -> Result<bool, CatalogError> {
        if !cache.has_copies() {
            return Ok(true);
        }
        let deadline = Instant::now() + REMOVAL;
        while !self.catalog.store_over_leaving(storage.id, name.file_hash).await? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(REMOVAL_POLL).await;
        }
        Ok(true)
    }
}

impl CopyRound {
    fn add(&mut self, other: Self) {
        self.made += other.made;
        self.bytes += other.bytes;
        self.failed += other.failed;
    }
}

/// Decides where a copy goes, and from where it is made. `None` if that cannot be done now.
fn plan(cache: &Cache, wanted: CopyToMake) -> Option<Task> {
    let storages = cache.storages();
    let is_readable =
        |id: &StorageId| storages.get(*id).filter(|storage| !storage.liveness.is_lost()).cloned();
    let from: Vec<Arc<CacheStorage>> = wanted.sources.iter().filter_map(is_readable).collect();
    if from.is_empty() || wanted.nar.damaged {
        return None;
    }
    let name = NarFileName { file_hash: wanted.nar.file_hash, compression: wanted.nar.compression };
    let (reservation, to) = match wanted.copy.storage {
        Some(storage) => (None, is_readable(&storage)?),
        None => {
            let taken: Vec<Arc<str>> = wanted
                .taken
                .iter()
                .filter_map(|id| storages.get(*id))
                .map(|storage| storage.name().into())
                .collect();
            let (reservation, to) = storages.reserve_copy(wanted.nar.file_size, &taken).ok()?;
            (Some(reservation), to)
        }
    };
    Some(Task { wanted, name, to, reservation, from })
}

/// Makes the files beside copies durable, and takes out the copies of which that failed. Returns their ids.
async fn sync_beside(done: &mut Vec<Made>) -> Vec<CopyId> {
    let mut keys: HashMap<StorageId, (Arc<CacheStorage>, Vec<Key>)> = HashMap::new();
    for made in done.iter() {
        let entry = keys.entry(made.task.to.id).or_insert_with(|| (made.task.to.clone(), Vec::new()));
        entry.1.extend(made.beside.iter().cloned());
    }
    let mut broken = Vec::new();
    for (id, (storage, keys)) in keys {
        if let Err(error) = storage.storage.sync(&keys).await {
            tracing::warn!(error = %chain(&error), "could not make the files beside copies durable");
            storage.failed(&error);
            broken.push(id);
        }
    }
    let (failed, sound): (Vec<Made>, Vec<Made>) =
        std::mem::take(done).into_iter().partition(|made| broken.contains(&made.task.to.id));
    *done = sound;
    let ids = failed.iter().map(|made| made.task.wanted.copy.id).collect();
    failed.into_iter().for_each(|made| made.intent.keep());
    ids
}

fn target_failed(to: &CacheStorage, error: &StorageError) -> PushError {
    to.failed(error);
    PushError::StorageFailing
}

async fn read_listing(from: &CacheStorage, key: &Key) -> Option<bytes::Bytes> {
    let blob = from.storage.open(key, None, None).await.ok()?;
    if blob.total_size > LISTING_LIMIT {
        return None;
    }
    blob.into_bytes().await.ok()
}

/// Removes the files beside the NAR of a path from a storage where the path is not any more. What stays is found by an fsck.
async fn remove_description(storage: &CacheStorage, path: &StorePathHash) {
    for key in [layout::narinfo_key(path), layout::listing_key(path)] {
        if let Err(error) = storage.storage.delete(&key).await {
            tracing::debug!(error = %chain(&error), "could not remove a file beside a copy");
        }
    }
}
