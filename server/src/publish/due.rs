//! Working off the list of due paths.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use catalog::{CacheId, CatalogError, PublishTicket, StorageId, UnixTime, UnpublishedPath};
use tokio_util::sync::CancellationToken;

use super::Publisher;
use super::files::{published_keys, write_files};
use super::written::Written;
use crate::cache::{Cache, Caches};
use crate::chain::chain;

/// Paths per batch.
const BATCH: u64 = 512;
/// Age in seconds from which on a path that this daemon has not written counts as left behind: by then the push that
/// committed it, here or on another daemon, has written the files or died.
const LEFT_AFTER: i64 = 300;

impl Publisher {
    /// Makes the files of due paths durable, and writes those first that may be missing. Returns whether nothing is left. When
    /// `stop` is cancelled the rest may wait for the next start.
    pub async fn publish_due(&self, caches: &Caches, stop: &CancellationToken) -> Result<bool, CatalogError> {
        let rewrite = self.rewrite.swap(false, Ordering::Relaxed);
        let written = self.written.take();
        let result = self.work_off(caches, rewrite, &written, stop).await;
        if !matches!(result, Ok(true)) {
            self.written.put_back(written);
            if rewrite {
                self.publish_again();
            }
        }
        result
    }

    /// Returns whether all of it could be done.
    async fn work_off(
        &self,
        caches: &Caches,
        rewrite: bool,
        written: &Written,
        stop: &CancellationToken,
    ) -> Result<bool, CatalogError> {
        let mut after = None;
        let mut all = true;
        loop {
            let due = self.catalog.unpublished(after, BATCH).await?;
            let Some(last) = due.last() else { return Ok(all) };
            // What cannot be done now is in nobody's way.
            after = Some(last.ticket);
            let mut count = due.len();
            let mut done = Vec::new();
            for ((cache, storage), paths) in by_storage(due) {
                let known = caches.iter().find(|known| known.id == cache).cloned();
                let Some(cache) = known else { continue };
                if !cache.gives_from(storage) {
                    continue;
                }
                let paths = if rewrite {
                    self.write_again(&cache, paths).await
                } else {
                    let (mine, others): (Vec<_>, Vec<_>) =
                        paths.into_iter().partition(|due| written.has(&due.path));
                    let (left, current): (Vec<_>, Vec<_>) = others.into_iter().partition(is_left);
                    // The push or the daemon that committed them is still writing.
                    count -= current.len();
                    [mine, self.write_again(&cache, left).await].concat()
                };
                match sync(&cache, storage, &paths).await {
                    Some(tickets) => done.extend(tickets),
                    // A second sync of the same files would prove nothing.
                    None => self.rewrite.store(true, Ordering::Relaxed),
                }
            }
            all &= done.len() == count;
            if !done.is_empty() {
                self.catalog.mark_published(done).await?;
            }
            if rewrite && stop.is_cancelled() {
                return Ok(all);
            }
        }
    }

    /// Writes the files of these paths again and returns the paths for which that worked.
    async fn write_again(&self, cache: &Arc<Cache>, paths: Vec<UnpublishedPath>) -> Vec<UnpublishedPath> {
        let mut written = Vec::with_capacity(paths.len());
        let mut failed = 0_u64;
        for due in paths {
            let path = due.path.path.base_name();
            match write_files(cache, &due.path, None).await {
                Ok(()) => {
                    self.write_beside_copies(cache, &due.path).await;
                    if let Err(error) = self.withdraw_if_deleted(cache, &due.path).await {
                        tracing::warn!(cache = cache.name(), path, error = %chain(&error), "could not look whether a path was deleted");
                    }
                    written.push(due);
                }
                // When the storage is away, it is so for all of them.
                Err(error) if failed > 0 => {
                    tracing::debug!(cache = cache.name(), path, error = %chain(&error), "could not write the files of a path");
                    failed += 1;
                }
                Err(error) => {
                    tracing::warn!(cache = cache.name(), path, error = %chain(&error), "could not write the files of a path");
                    failed = 1;
                }
            }
        }
        if failed > 1 {
            tracing::warn!(
                cache = cache.name(),
                paths = failed,
                "could not write the files of several paths"
            );
        }
        written
    }
}

fn is_left(due: &UnpublishedPath) -> bool {
    due.path.created_at.0 < UnixTime::now().0 - LEFT_AFTER
}

type Grouped = HashMap<(CacheId, StorageId), Vec<UnpublishedPath>>;

fn by_storage(due: Vec<UnpublishedPath>) -> Grouped {
    let mut grouped = Grouped::new();
    for due in due {
        grouped.entry((due.cache, due.path.nar.storage)).or_default().push(due);
    }
    grouped
}

/// Makes the files of the paths durable. Returns `None` if that failed, after which they have to be written again: the kernel
/// may have dropped some of them.
async fn sync(cache: &Cache, storage: StorageId, paths: &[UnpublishedPath]) -> Option<Vec<PublishTicket>> {
    let Some(storage) = cache.storage(storage) else { return Some(Vec::new()) };
    let keys: Vec<_> = paths.iter().flat_map(|due| published_keys(&due.path)).collect();
    match storage.storage.sync(&keys).await {
        Ok(()) => Some(paths.iter().map(|due| due.ticket).collect()),
        Err(error) => {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not make files durable yet");
            None
        }
    }
}
