//! Finds out when a storage fails, fills up, or comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::core::Core;

/// How often the books of a storage are compared with the catalog.
const RECOUNT: Duration = Duration::from_secs(600);

/// Watches one storage.
pub(super) struct Probe {
    cache: Arc<Cache>,
    storage: Arc<CacheStorage>,
    recounted: tokio::time::Instant,
}

impl Probe {
    pub(super) fn new(cache: Arc<Cache>, storage: Arc<CacheStorage>) -> Self {
        Self { cache, storage, recounted: tokio::time::Instant::now() }
    }
}

impl Worker for Probe {
    fn name(&self) -> String {
        format!("probe {}/{}", self.cache.name(), self.storage.name())
    }

    fn purpose(&self) -> &'static str {
        "checks whether the storage works and has room"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        self.storage.probe_due().await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        let probing = self.cache.probe(&core.catalog, &self.storage);
        let Some(revived) = stop.run_until_cancelled(probing).await else { return Ok(()) };
        if revived {
            // Files that could not be written or removed while it was away.
            core.publisher.publish_again();
            core.remove_leftovers().await;
        }
        if self.recounted.elapsed() >= RECOUNT {
            // Small errors must not add up, such as of a push that ended when the catalog did not answer.
            let used = core.catalog.storage_used(self.storage.id).await?;
            self.cache.storages().set_used(&self.storage, used);
            self.recounted = tokio::time::Instant::now();
        }
        Ok(())
    }
}
