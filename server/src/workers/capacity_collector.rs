//! Makes room in caches that are larger than they may be: those that keep what they find elsewhere, and those that are full and
//! make room by collecting.

use std::sync::Arc;
use std::time::Duration;

use admin_api::JobRequest;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::cache::{Cache, crowding};
use crate::core::Core;
use crate::federation;
use crate::jobs::{End, Jobs};

/// What was used within the grace stays for now, so it takes another round: after this time, if the grace is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct CapacityCollector {
    jobs: Arc<Jobs>,
    /// Whether the last round left a cache too large.
    again: bool,
}

impl CapacityCollector {
    pub(super) fn new(jobs: Arc<Jobs>) -> Self {
        Self { jobs, again: false }
    }
}

impl Worker for CapacityCollector {
    fn name(&self) -> String {
        "keep-limit".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "removes the least recently used paths of full caches"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let pause = core.config().server.gc_grace.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        tokio::select! {
            () = core.federation.overgrown() => {}
            () = core.nar_store.crowded() => {}
            () = tokio::time::sleep(pause), if self.again => {}
        }
    }

    /// Does what `cachectl gc --to-size` does, cache by cache. A job that is in the way makes it fail, so that it is tried
    /// again soon.
    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        self.again = false;
        if !core.clock.is_steady_for(core.config().server.gc_grace) {
            // The doctor says why.
            self.again = true;
            core.caches().iter().for_each(|cache| cache.crowding.collected());
            return Ok(());
        }
        for cache in core.caches().iter() {
            if size_to_collect(cache).is_none() {
                continue;
            }
            let collected = self.collect(core, cache, stop).await;
            cache.crowding.collected();
            if !collected? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl CapacityCollector {
    /// Collects one cache. Returns whether that came to an end.
    async fn collect(
        &mut self,
        core: &Arc<Core>,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<bool, Failure> {
        // What was removed before goes first. What is removed now stays as long as it fits.
        let fits = || size_to_collect(cache).is_none();
        core.nar_store.empty_trash_until(cache, fits).await?;
        let Some(size) = size_to_collect(cache) else { return Ok(true) };
        let request = JobRequest::Gc {
            cache: Some(cache.name().to_owned()),
            dry_run: false,
            to_size: Some(size),
            older_than: None,
            accept_clock: false,
            no_trash: false,
            brief: false,
            for_room: crowding::size_to_collect(cache).is_some(),
        };
        let started = self.jobs.start_unattended(core, request).map_err(|error| error.message)?;
        let mut end = started.watching.end;
        match stop.run_until_cancelled(end.wait_for(Option::is_some)).await {
            Some(Ok(end)) => {
                if let Some(End::Failed(error)) = &*end {
                    return Err(error.message.clone().into());
                }
            }
            _ => return Ok(false),
        }
        core.nar_store.empty_trash_until(cache, fits).await?;
        // What was held back waits for an operator.
        let is_held = cache.held_collection.read().is_some();
        self.again |= federation::size_to_collect(cache).is_some() && !is_held;
        Ok(true)
    }
}

/// The size in bytes to which a cache is to be collected, for whichever reason.
fn size_to_collect(cache: &Cache) -> Option<u64> {
    let sizes = [federation::size_to_collect(cache), crowding::size_to_collect(cache)];
    sizes.into_iter().flatten().min()
}
