//! Adds the paths to the catalog that it has lost: see [`catalog::Generation`].

use std::sync::Arc;
use std::time::Duration;

use admin_api::JobRequest;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;
use crate::jobs::{End, Jobs};

/// How often to look for storages to search. Most are found at the start.
const PAUSE: Duration = Duration::from_secs(10);

/// Searches storages for paths that the catalog has lost.
pub(super) struct Recovery {
    jobs: Arc<Jobs>,
}

impl Recovery {
    pub(super) fn new(jobs: Arc<Jobs>) -> Self {
        Self { jobs }
    }
}

impl Worker for Recovery {
    fn name(&self) -> String {
        "recovery".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "restores paths that an older copy of the catalog lacks"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(PAUSE).await;
    }

    /// Does what `cachectl fsck --rebuild` does, to the storages that need it. What came of it is in the log.
    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        for id in core.catalog.storages_to_rebuild().await? {
            let caches = core.caches();
            let found = caches.iter().find_map(|cache| Some((cache, cache.storage(id)?)));
            // One that cannot be read is searched when it is back.
            let Some((cache, storage)) = found.filter(|(_, storage)| !storage.liveness.is_lost()) else {
                continue;
            };
            let request = JobRequest::Fsck {
                cache: Some(cache.name().to_owned()),
                storage: Some(storage.name().to_owned()),
                rebuild: true,
                dry_run: false,
            };
            let started = self.jobs.start_unattended(core, request).map_err(|error| error.message)?;
            let mut end = started.watching.end;
            // The end of the daemon ends the job as well, and the next start begins it again.
            let Some(ended) = stop.run_until_cancelled(end.wait_for(Option::is_some)).await else {
                return Ok(());
            };
            if let Ok(ended) = ended
                && let Some(End::Failed(error)) = &*ended
            {
                return Err(error.message.clone().into());
            }
        }
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        Some(PAUSE)
    }

    fn begins_at_once(&self) -> bool {
        true
    }
}
