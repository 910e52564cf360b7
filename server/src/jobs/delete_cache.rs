//! Deleting a cache that is not in use: its files first, then what the catalog knows of it, then its signing keys.
//!
//! All of it can be repeated. As long as files are left that could be removed another time, the catalog keeps the cache, so
//! that nobody forgets them. Files in a place that is not known any more are left where they are, and told of.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin_api::{ApiError, DeleteCacheSummary, ErrorCode, JobSummary, NoteLevel, Unit};
use catalog::{CacheRecord, Forgotten, StorageRecord};
use futures_util::future::ready;
use futures_util::{StreamExt, stream};
use nar_storage::{Key, Storage, StorageError, layout};
use tokio::time::sleep;

use super::JobError;
use super::job::Reporter;
use super::scope::cache_in_use;
use crate::cache::storages::RemovedStorage;
use crate::chain::chain;
use crate::core::Core;

/// Paths that are forgotten in one transaction, which other writes wait for.
const BATCH: u64 = 100;
/// Objects that are removed at once.
const AT_ONCE: usize = 8;
/// Objects that are listed before they are removed.
const PAGE: usize = 1000;
/// How long a storage may be locked by what was under way before, and how long to wait between two looks at it.
const SETTLING: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

/// An object with its size.
type Listed = Result<(Key, u64), StorageError>;

struct Deletion<'a> {
    core: &'a Core,
    cache: CacheRecord,
    reporter: &'a Reporter,
    summary: DeleteCacheSummary,
}

pub(super) async fn delete_cache(
    core: &Core,
    name: &str,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let known = core.catalog.caches().await?;
    let cache = known.into_iter().find(|cache| cache.name == name).ok_or_else(|| {
        let message = format!("there is no cache called `{name}` any more");
        JobError::Failed(ApiError { code: ErrorCode::NotFound, message, hint: None })
    })?;
    let summary = DeleteCacheSummary::default();
    let mut deletion = Deletion { core, cache, reporter, summary };
    deletion.check()?;
    deletion.let_go().await;
    for storage in core.catalog.storages_of(deletion.cache.id).await? {
        deletion.empty(&storage).await?;
    }
    if deletion.summary.left_files == 0 {
        // One that brought the cache back would make a new key for it.
        let _no_reload = core.block_reloads().await;
        deletion.forget().await?;
        deletion.remove_own_files().await;
    }
    Ok(JobSummary::DeleteCache(deletion.summary))
}

impl Deletion<'_> {
    /// Fails when the job is to stop, or the cache was put into use again.
    fn check(&self) -> Result<(), JobError> {
        self.reporter.check()?;
        let in_use = self.core.caches().find(&self.cache.name).is_some();
        if in_use { Err(JobError::Failed(cache_in_use(&self.cache.name))) } else { Ok(()) }
    }

    /// Lets go of the cache in memory, if it was served before. Its storages are locked as long as somebody uses them.
    async fn let_go(&self) {
        let _no_reload = self.core.block_reloads().await;
        let caches = self.core.caches().without_retired(self.cache.id);
        self.core.set_caches(caches);
    }

    /// Removes everything from a storage.
    async fn empty(&mut self, record: &StorageRecord) -> Result<(), JobError> {
        let place = format!("{}/{}", self.cache.name, record.name);
        let stats = self.core.catalog.storage_stats(record.id).await?;
        self.reporter.begin(format!("removing files from {place}"), Unit::Files, 0, None);
        let config = self.core.config();
        let cache = config.caches.iter().find(|cache| cache.name.as_str() == self.cache.name);
        let storage = match RemovedStorage::find(record, cache, &config.server.state_dir).await {
            Ok(storage) => storage,
            Err(reason) => {
                self.tell_of_rest(record, stats.nars, &reason);
                return Ok(());
            }
        };
        if let Err(error) = prepare(&storage).await {
            if storage.is_configured {
                self.summary.left_files += stats.nars;
                self.reporter.note(NoteLevel::Warn, format!("{place}: {}", chain(&error)));
            } else {
                self.tell_of_rest(record, stats.nars, &chain(&error));
            }
            return Ok(());
        }
        match self.remove_all(&storage.storage).await? {
            Ok(0) => self.dismantle(&storage, &place).await,
            Ok(_) => {}
            Err(error) => {
                self.summary.left_files += stats.nars.max(1);
                self.reporter.note(NoteLevel::Warn, format!("{place}: {}", chain(&error)));
            }
        }
        Ok(())
    }

    /// Tells of files that stay because their storage is not known any more.
    fn tell_of_rest(&self, record: &StorageRecord, files: u64, reason: &str) {
        if files > 0 {
            let location = record.location.as_deref().unwrap_or("an unknown place");
            let text = format!(
                "{}/{}: its {files} files stay where they are, in {location}: {reason}",
                self.cache.name, record.name
            );
            self.reporter.note(NoteLevel::Warn, text);
        }
    }

    /// Removes all objects of a storage. Returns how many could not be removed; the inner error is the storage's as a whole.
    async fn remove_all(
        &mut self,
        storage: &Arc<dyn Storage>,
    ) -> Result<Result<u64, StorageError>, JobError> {
        // A client that reads the storage directly never finds a narinfo without its NAR.
        for narinfos in [true, false] {
            // A listing may leave something out while objects go.
            while let Some(found) = self.remove_listed(storage, narinfos).await? {
                match found {
                    Ok(0) => {}
                    failed => return Ok(failed),
                }
            }
        }
        Ok(Ok(0))
    }

    /// Lists a storage and removes what is found: its narinfos, or everything. Returns nothing if nothing is found, else what
    /// [`Deletion::remove_all`] returns.
    async fn remove_listed(
        &mut self,
        storage: &Arc<dyn Storage>,
        narinfos: bool,
    ) -> Result<Option<Result<u64, StorageError>>, JobError> {
        let wanted = move |object: &Listed| ready(!narinfos || is_narinfo(object));
        let mut pages = storage.list("").filter(wanted).chunks(PAGE);
        let mut found = None;
        while let Some(page) = pages.next().await {
            self.check()?;
            let page = match page.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(page) => page,
                Err(error) => return Ok(Some(Err(error))),
            };
            let failed = self.remove_some(storage, page).await;
            self.summary.left_files += failed;
            found = Some(Ok(failed));
            if failed > 0 {
                break;
            }
        }
        Ok(found)
    }

    /// Removes these objects. Returns how many could not be removed.
    async fn remove_some(&mut self, storage: &Arc<dyn Storage>, objects: Vec<(Key, u64)>) -> u64 {
        let backend = storage.clone();
        let removing = stream::iter(objects).map(move |(key, size)| {
            let backend = backend.clone();
            async move { (backend.delete(&key).await, size) }
        });
        let mut removing = removing.buffered(AT_ONCE);
        let mut failed = 0;
        while let Some((removed, size)) = removing.next().await {
            match removed {
                Ok(_) => {
                    self.summary.files += 1;
                    self.summary.bytes_freed += size;
                    self.reporter.advance(1);
                }
                Err(error) => {
                    if failed == 0 {
                        self.reporter.note(NoteLevel::Warn, chain(&error));
                    }
                    failed += 1;
                }
            }
        }
        failed
    }

    /// Removes the directories of a storage that is empty.
    async fn dismantle(&self, storage: &RemovedStorage, place: &str) {
        // Listings leave it out.
        if let Err(error) = storage.storage.delete(&layout::catalog_note_key()).await {
            return self.reporter.note(NoteLevel::Warn, format!("{place}: {}", chain(&error)));
        }
        match storage.dismantle().await {
            Ok(true) => {}
            Ok(false) => {
                let text = format!("{place}: there are files that are none of a binary cache, and they stay");
                self.reporter.note(NoteLevel::Warn, text);
            }
            Err(error) => self.reporter.note(NoteLevel::Warn, format!("{place}: {}", chain(&error))),
        }
    }

    /// Takes the cache out of the catalog.
    async fn forget(&mut self) -> Result<(), JobError> {
        let stats = self.core.catalog.cache_stats(self.cache.id).await?;
        let paths = stats.paths + stats.hidden_paths;
        let message = format!("taking {} out of the catalog", self.cache.name);
        self.reporter.begin(message, Unit::Paths, 0, Some(paths));
        loop {
            self.check()?;
            match self.core.catalog.forget_cache(self.cache.id, BATCH).await? {
                Forgotten::Paths(paths) => {
                    self.summary.paths += paths;
                    self.reporter.advance(paths);
                }
                Forgotten::Cache => break,
                Forgotten::InUse => return Err(JobError::Failed(cache_in_use(&self.cache.name))),
            }
        }
        self.core.set_caches(self.core.caches().without(self.cache.id));
        // Tokens for it alone ended with it: they are not for another cache that takes its name.
        self.core.tokens.reload().await?;
        Ok(())
    }

    /// Removes what the daemon kept for the cache in its own directory: signing keys and spools.
    async fn remove_own_files(&self) {
        let (state_dir, name) = (self.core.config().server.state_dir.clone(), self.cache.name.clone());
        let removed = tokio::task::spawn_blocking(move || remove_own_files(&state_dir, &name)).await;
        if let Ok(Err(error)) = removed {
            let text = format!("the signing keys of {} could not be removed: {error}", self.cache.name);
            self.reporter.note(NoteLevel::Warn, text);
        }
    }
}

/// Makes a storage ready. What was under way when its cache was served may keep it locked for a moment.
async fn prepare(storage: &RemovedStorage) -> Result<(), StorageError> {
    let begun = Instant::now();
    loop {
        match storage.storage.prepare().await {
            Err(_) if begun.elapsed() < SETTLING => sleep(PAUSE).await,
            prepared => return prepared,
        }
    }
}

/// What cannot be listed may be one.
fn is_narinfo(object: &Listed) -> bool {
    object.as_ref().map_or(true, |(key, _)| key.as_str().ends_with(layout::NARINFO_SUFFIX))
}

fn remove_own_files(state_dir: &Path, cache: &str) -> io::Result<()> {
    let absent_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    absent_is_fine(fs::remove_dir_all(state_dir.join("spool").join(cache)))?;
    let keys = match fs::read_dir(state_dir.join("keys")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        keys => keys?,
    };
    // The names of caches have no dots, so none begins like another one with a dot.
    let prefix = format!("{cache}.");
    for key in keys {
        let key = key?;
        if key.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            absent_is_fine(fs::remove_file(key.path()))?;
        }
    }
    Ok(())
}
