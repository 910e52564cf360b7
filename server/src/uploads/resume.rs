//! Resuming uploads of an earlier run of the daemon: files that came in one piece and wait for their narinfos.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use catalog::UnixTime;
use nar_storage::KEPT;
use uuid::Uuid;

use super::Uploads;
use super::open::Upload;
use super::spool::{KeptFile, Spool};
use super::spool_dirs::StorageSpoolDirs;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, Caches, blocking};
use crate::chain::chain;
use crate::nar_store::NarStore;

impl Uploads {
    /// Leaves the files of those unfinished uploads behind that the next run of the daemon can resume. Called at the end.
    pub fn leave_uploads(&self) {
        self.open.all().iter().for_each(|upload| upload.spool.leave());
    }

    /// Resumes what an earlier run left in the spools of these caches. Called at the start.
    pub async fn resume_spooled_uploads(&self, caches: &Caches) {
        for cache in caches.iter() {
            for storage in cache.storages().iter() {
                let (cache, nar_store, storage) = (cache.clone(), self.nar_store.clone(), storage.clone());
                let found = blocking(move || find_spooled(&cache, &nar_store, &storage)).await;
                for (upload, kept) in found.unwrap_or_default() {
                    self.resume(upload, &kept).await;
                }
            }
        }
    }

    async fn resume(&self, upload: Upload, kept: &KeptFile) {
        let (cache, file) = (upload.cache, kept.name.file_hash);
        // Those that are too many go, with their files.
        if self.open.check_room(cache, None).is_err() {
            return;
        }
        let upload = self.open.insert(upload);
        if let Some(owners) = &self.owners
            && let Err(error) = owners.record_file(upload.id, cache, file).await
        {
            tracing::warn!(error = %chain(&error), "other daemons do not learn of a file that waits here for its narinfo");
        }
        if let Some(replaced) = self.open.await_narinfo(&upload, file) {
            self.end(replaced);
        }
        tracing::debug!(nar = %kept.name, "a file of an earlier run waits for its narinfo");
    }
}

/// Returns what can be resumed from the spool of a storage and removes the rest. Blocks.
fn find_spooled(
    cache: &Arc<Cache>,
    nar_store: &Arc<NarStore>,
    storage: &Arc<CacheStorage>,
) -> Vec<(Upload, KeptFile)> {
    // A spool that is not there yet has nothing in it.
    let Ok(entries) = fs::read_dir(storage.storage.spool_dir()) else { return Vec::new() };
    let directories = entries.flatten().map(|entry| entry.path()).filter(|path| path.join(KEPT).exists());
    let mut found = Vec::new();
    for directory in directories {
        match read_spooled(cache, nar_store, storage, &directory) {
            Ok(Some(upload)) => found.push(upload),
            Ok(None) => remove(&directory),
            Err(error) => {
                tracing::warn!(path = %directory.display(), error = %chain(&error), "could not resume an upload of an earlier run");
                remove(&directory);
            }
        }
    }
    found
}

fn read_spooled(
    cache: &Arc<Cache>,
    nar_store: &Arc<NarStore>,
    storage: &Arc<CacheStorage>,
    directory: &Path,
) -> io::Result<Option<(Upload, KeptFile)>> {
    let id = directory.file_name().and_then(|name| name.to_str()).and_then(|name| Uuid::parse_str(name).ok());
    let (Some(id), Some(kept)) = (id, KeptFile::read(directory)?) else { return Ok(None) };
    let received = fs::metadata(directory.join(KEPT))?.modified()?;
    let age = received.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let last_active = UnixTime(i64::try_from(age).unwrap_or_default());
    let spools = StorageSpoolDirs::beginning_in(
        cache.clone(),
        nar_store.clone(),
        id,
        storage.clone(),
        directory.to_owned(),
    );
    let spool = Spool::reopen(Box::new(spools), directory, &kept)?;
    let upload = Upload::new(id, cache.id, kept.name.compression, spool, last_active);
    Ok(Some((upload, kept)))
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        tracing::warn!(path = %directory.display(), error = %chain(&error), "could not remove an upload of an earlier run");
    }
}
