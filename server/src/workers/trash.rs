//! Empties the trash of what has been there for long enough.

use std::sync::Arc;
use std::time::Duration;

use catalog::UnixTime;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::chain::chain;
use crate::core::Core;

/// Shortest and longest pause between two rounds.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

pub(super) struct Trash {
    /// Whether removals that a crash interrupted were finished.
    finished_removals: bool,
}

impl Trash {
    pub(super) fn new() -> Self {
        Self { finished_removals: false }
    }
}

impl Worker for Trash {
    fn name(&self) -> String {
        "trash".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "deletes paths whose time in the trash is over"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let kept = core.config().server.trash.unwrap_or(PAUSE.1);
        tokio::time::sleep((kept / 4).clamp(PAUSE.0, PAUSE.1)).await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        if !self.finished_removals {
            self.finished_removals = true;
            finish_removals(core).await;
        }
        // By a wrong clock everything has been there for long enough.
        if core.clock.doubt().is_some() {
            return Ok(());
        }
        let kept = core.config().server.trash.map_or(0, |kept| kept.as_secs());
        let before = UnixTime(UnixTime::now().0.saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX)));
        for cache in core.caches().iter() {
            let emptied = core.nar_store.empty_trash(cache, Some(before)).await?;
            if emptied.paths > 0 {
                let (paths, bytes) = (emptied.paths, emptied.freed.bytes);
                tracing::info!(
                    cache = cache.name(),
                    paths,
                    bytes,
                    "deleted what had been in the trash for long enough"
                );
            }
            if stop.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    fn begins_at_once(&self) -> bool {
        true
    }
}

/// Finishes removals that a crash interrupted. What a storage does not give up now is left to the next collection.
async fn finish_removals(core: &Core) {
    for cache in core.caches().iter() {
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            if let Err(error) = core.nar_store.finish_removals(cache, storage).await {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "files of removed paths are left for now");
            }
        }
    }
}
