//! Taking up files that an earlier run of the daemon received, and that wait for their narinfos.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use catalog::UnixTime;
use nar_storage::KEPT;
use uuid::Uuid;

use super::refuge::StorageSpools;
use super::spool::{KeptFile, Spool};
use super::upload::Upload;
use super::{Pusher, blocking};
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, Caches};

impl Pusher {
    /// Lets go of unfinished uploads such that the next run of the daemon finds those that it can take up. To be called at
    /// the end.
    pub fn leave_uploads(&self) {
        self.uploads.all().iter().for_each(|upload| upload.spool.leave());
    }

    /// Takes up what an earlier run left in the spools of these caches. To be called at the start.
    pub async fn take_up_uploads(&self, caches: &Caches) {
        for cache in caches.iter() {
            for storage in cache.storages().iter() {
                let (cache, storage) = (cache.clone(), storage.clone());
                let found = blocking(move || take_up_all(&cache, &storage)).await;
                for (upload, kept) in found.unwrap_or_default() {
                    self.take_up(upload, &kept).await;
                }
            }
        }
    }

    async fn take_up(&self, upload: Upload, kept: &KeptFile) {
        let (cache, file) = (upload.cache, kept.name.file_hash);
        // Those that are too many go, with their files.
        if self.uploads.check_room(cache, None).is_err() {
            return;
        }
        let upload = self.uploads.insert(upload);
        if let Some(owners) = &self.owners
            && let Err(error) = owners.record_file(upload.id, cache, file).await
        {
            tracing::warn!(%error, "other daemons do not learn of a file that waits here for its narinfo");
        }
        if let Some(replaced) = self.uploads.await_narinfo(&upload, file) {
            self.give_up(replaced);
        }
        tracing::debug!(nar = %kept.name, "a file of an earlier run waits for its narinfo");
    }
}

/// What can be taken up from the spool of a storage. What cannot is removed. Blocks.
fn take_up_all(cache: &Arc<Cache>, storage: &Arc<CacheStorage>) -> Vec<(Upload, KeptFile)> {
    // A spool that is not there yet has nothing in it.
    let Ok(entries) = fs::read_dir(storage.storage.spool_dir()) else { return Vec::new() };
    let directories = entries.flatten().map(|entry| entry.path()).filter(|path| path.join(KEPT).exists());
    let mut found = Vec::new();
    for directory in directories {
        match take_up_one(cache, storage, &directory) {
            Ok(Some(upload)) => found.push(upload),
            Ok(None) => remove(&directory),
            Err(error) => {
                tracing::warn!(path = %directory.display(), %error, "could not take up an upload of an earlier run");
                remove(&directory);
            }
        }
    }
    found
}

fn take_up_one(
    cache: &Arc<Cache>,
    storage: &Arc<CacheStorage>,
    directory: &Path,
) -> io::Result<Option<(Upload, KeptFile)>> {
    let id = directory.file_name().and_then(|name| name.to_str()).and_then(|name| Uuid::parse_str(name).ok());
    let (Some(id), Some(kept)) = (id, KeptFile::read(directory)?) else { return Ok(None) };
    let received = fs::metadata(directory.join(KEPT))?.modified()?;
    let age = received.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let last_active = UnixTime(i64::try_from(age).unwrap_or_default());
    let spools = StorageSpools::beginning_in(cache.clone(), id, storage.clone(), directory.to_owned());
    let spool = Spool::take_up(Box::new(spools), directory, &kept)?;
    let upload = Upload::new(id, cache.id, kept.name.compression, spool, last_active);
    Ok(Some((upload, kept)))
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        tracing::warn!(path = %directory.display(), %error, "could not remove an upload of an earlier run");
    }
}
