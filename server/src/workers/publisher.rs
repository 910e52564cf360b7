//! Makes the files beside the NARs durable, a batch at a time, so that no push waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::{CacheId, CatalogError, PublishTicket, StorageId, UnpublishedPath};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cache::Cache;
use crate::cache::publish::{publish, published_keys};

/// Paths per batch.
const BATCH: u64 = 512;
/// How long to collect paths before a batch.
const GATHER: Duration = Duration::from_secs(1);
/// Pause after a batch that failed in part.
const BACKOFF: Duration = Duration::from_secs(30);

pub(super) async fn run(app: Arc<App>, stop: CancellationToken) {
    // What is due now was left by a previous run; nobody knows which of its files made it to the disk.
    app.pusher.publish_again();
    loop {
        let rewrite = app.pusher.take_publish_again();
        let done = match publish_due(&app, rewrite, &stop).await {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, "could not look up which files are to be made durable");
                false
            }
        };
        if !done {
            if rewrite {
                app.pusher.publish_again();
            }
            pause(&stop, BACKOFF).await;
        }
        if stop.is_cancelled() {
            return;
        }
        stop.run_until_cancelled(app.pusher.published()).await;
        pause(&stop, GATHER).await;
    }
}

async fn pause(stop: &CancellationToken, time: Duration) {
    stop.run_until_cancelled(tokio::time::sleep(time)).await;
}

/// Works off what is due. Returns whether all of it could be done.
async fn publish_due(app: &App, rewrite: bool, stop: &CancellationToken) -> Result<bool, CatalogError> {
    let mut after = None;
    let mut all = true;
    loop {
        let due = app.catalog.unpublished(after, BATCH).await?;
        let Some(last) = due.last() else { return Ok(all) };
        // What cannot be done now is in nobody's way.
        after = Some(last.ticket);
        let count = due.len();
        let mut done = Vec::new();
        for ((cache, storage), paths) in by_storage(due) {
            let Some(cache) = app.caches.iter().find(|known| known.id == cache) else { continue };
            if !cache.gives_from(storage) {
                continue;
            }
            let paths = if rewrite { write_again(cache, paths).await } else { paths };
            done.extend(sync(cache, storage, &paths).await);
        }
        all &= done.len() == count;
        if !done.is_empty() {
            app.catalog.mark_published(done).await?;
        }
        if rewrite && stop.is_cancelled() {
            return Ok(all);
        }
    }
}

type Grouped = HashMap<(CacheId, StorageId), Vec<UnpublishedPath>>;

fn by_storage(due: Vec<UnpublishedPath>) -> Grouped {
    let mut grouped = Grouped::new();
    for due in due {
        grouped.entry((due.cache, due.path.nar.storage)).or_default().push(due);
    }
    grouped
}

/// Writes the files of these paths again and returns the paths for which that worked.
async fn write_again(cache: &Arc<Cache>, paths: Vec<UnpublishedPath>) -> Vec<UnpublishedPath> {
    let mut written = Vec::with_capacity(paths.len());
    for due in paths {
        match publish(cache, &due.path, None).await {
            Ok(()) => written.push(due),
            Err(error) => {
                let path = due.path.path.base_name();
                tracing::warn!(cache = cache.name(), path, %error, "could not write the files of a path");
            }
        }
    }
    written
}

async fn sync(cache: &Cache, storage: StorageId, paths: &[UnpublishedPath]) -> Vec<PublishTicket> {
    let Some(storage) = cache.storage(storage) else { return Vec::new() };
    let keys: Vec<_> = paths.iter().flat_map(|due| published_keys(&due.path)).collect();
    match storage.storage.sync(&keys).await {
        Ok(()) => paths.iter().map(|due| due.ticket).collect(),
        Err(error) => {
            tracing::warn!(cache = cache.name(), %error, "could not make files durable yet");
            Vec::new()
        }
    }
}
