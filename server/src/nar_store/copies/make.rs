//! Making copies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::{CatalogError, CopyId, CopyToMake, StorageId, UnixTime};
use futures_util::{StreamExt, stream};
use nar_storage::{Durability, Key, Reservation, StorageError, layout};
use nix_formats::{NarFileName, StorePathHash};
use tokio::time::timeout;
use uuid::Uuid;

use super::CopyRound;
use super::remove::remove_description;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError, blocking};
use crate::chain::chain;
use crate::counters::{COPIED_BYTES, COPIES_FAILED, COPIES_MADE};
use crate::fail_points::reached;
use crate::nar_store::NarStore;
use crate::nar_store::intent::Intent;
use crate::nar_store::relocate::{CopyError, SourceFault, copy};
use crate::publish::{read_listing, write_description};

/// Copies of a batch that are made at the same time.
const AT_ONCE: usize = 2;
/// How often a claim is renewed.
const RENEWAL: Duration = Duration::from_secs(60);
/// The time for a copy, and the slowest rate in bytes per second beyond that.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 1 << 20;

/// A copy that is about to be made.
pub(super) struct Task {
    pub(super) wanted: CopyToMake,
    pub(super) name: NarFileName,
    pub(super) to: Arc<CacheStorage>,
    /// None where it takes the place of a damaged one.
    pub(super) reservation: Option<Reservation>,
    /// The storages to copy from.
    pub(super) from: Vec<Arc<CacheStorage>>,
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
    pub(super) async fn make_batch(
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
        let made = self.make_claimed(cache, tasks).await?;
        round.add(made);
        Ok(round)
    }

    /// Makes copies that this daemon has claimed.
    pub(super) async fn make_claimed(
        &self,
        cache: &Arc<Cache>,
        tasks: Vec<Task>,
    ) -> Result<CopyRound, CatalogError> {
        let mut round = CopyRound::default();
        if tasks.is_empty() {
            return Ok(round);
        }
        let begun: Vec<CopyId> = tasks.iter().map(|task| task.wanted.copy.id).collect();
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
            let listing = read_listing(from, &hash).await.ok().flatten();
            if listing.is_none() {
                incomplete.push(hash);
            }
            let written = write_description(cache, &record, listing, &task.to, Durability::Later).await;
            beside.extend(written.map_err(|error| target_failed(&task.to, &error))?);
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
        self.share_later(cache, &task.to, task.name, task.wanted.nar.file_size);
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
        let _ = blocking(move || drop(intent)).await;
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
            let copies = cache.config().copies;
            let durable = cache.durable_storages();
            let (reservation, to) =
                storages.reserve_copy(wanted.nar.file_size, copies, &durable, &wanted.taken).ok()?;
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
