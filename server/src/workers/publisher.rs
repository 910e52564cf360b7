//! Makes the files beside the NARs durable, a batch at a time, so that no push waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catalog::{CacheId, CatalogError, PublishTicket, StorageId, UnixTime, UnpublishedPath};
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::cache::Cache;
use crate::cache::publish::{publish, published_keys};
use crate::cache::push::Written;
use crate::core::Core;

/// Paths per batch.
const BATCH: u64 = 512;
/// How long to collect paths before a batch.
const GATHER: Duration = Duration::from_secs(1);
/// How often to look for what other daemons that share the catalog left.
const LOOK_AROUND: Duration = Duration::from_secs(60);
/// Age in seconds from which on a path of another daemon is taken to be left: by then it has written the files, or is gone.
const LEFT_AFTER: i64 = 300;

pub(super) struct Publisher;

#[async_trait]
impl Worker for Publisher {
    fn name(&self) -> String {
        "publisher".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "makes narinfo files and listings durable, and writes those that are missing"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let published = core.pusher.published();
        if core.catalog.is_shared() {
            let _ = tokio::time::timeout(LOOK_AROUND, published).await;
        } else {
            published.await;
        }
        tokio::time::sleep(GATHER).await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        let rewrite = core.pusher.take_publish_again();
        let written = core.pusher.written().take();
        let result = publish_due(core, rewrite, &written, stop).await;
        if !matches!(result, Ok(true)) {
            core.pusher.written().put_back(written);
            if rewrite {
                core.pusher.publish_again();
            }
        }
        if result? { Ok(()) } else { Err("the files of some paths could not be written yet".into()) }
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn ends_with_a_round(&self) -> bool {
        true
    }
}

/// Works off what is due. Returns whether all of it could be done.
async fn publish_due(
    core: &Core,
    rewrite: bool,
    written: &Written,
    stop: &CancellationToken,
) -> Result<bool, CatalogError> {
    let mut after = None;
    let mut all = true;
    loop {
        let due = core.catalog.unpublished(after, BATCH).await?;
        let Some(last) = due.last() else { return Ok(all) };
        // What cannot be done now is in nobody's way.
        after = Some(last.ticket);
        let mut count = due.len();
        let mut done = Vec::new();
        for ((cache, storage), paths) in by_storage(due) {
            let known = core.caches().iter().find(|known| known.id == cache).cloned();
            let Some(cache) = known else { continue };
            if !cache.gives_from(storage) {
                continue;
            }
            let paths = if rewrite {
                write_again(&cache, paths).await
            } else if core.catalog.is_shared() {
                let (mine, others): (Vec<_>, Vec<_>) =
                    paths.into_iter().partition(|due| written.has(&due.path));
                let (left, current): (Vec<_>, Vec<_>) = others.into_iter().partition(is_left);
                // Whoever committed them is at it.
                count -= current.len();
                [mine, write_again(&cache, left).await].concat()
            } else {
                paths
            };
            done.extend(sync(&cache, storage, &paths).await);
        }
        all &= done.len() == count;
        if !done.is_empty() {
            core.catalog.mark_published(done).await?;
        }
        if rewrite && stop.is_cancelled() {
            return Ok(all);
        }
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
