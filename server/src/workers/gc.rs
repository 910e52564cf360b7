//! Collects garbage from time to time.

use std::sync::Arc;
use std::time::Duration;

use admin_api::JobRequest;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;
use crate::jobs::{End, Jobs};

/// Longest time from the start to the first collection. A daemon that is restarted often shall collect too; a moment has to
/// pass, though, as the last uses before a crash are not known.
const FIRST: Duration = Duration::from_secs(60 * 60);
/// How often to look whether the clock is believed again.
const RECHECK: Duration = Duration::from_secs(60);

pub(super) struct Gc {
    jobs: Arc<Jobs>,
    interval: Duration,
    /// How long to wait for the next collection.
    pause: Duration,
}

impl Gc {
    pub(super) fn new(interval: Duration, jobs: Arc<Jobs>) -> Self {
        Self { jobs, interval, pause: interval.min(FIRST) }
    }
}

impl Worker for Gc {
    fn name(&self) -> String {
        "gc".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "removes paths that were unused for their retention"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(self.pause).await;
    }

    /// Does what `cachectl gc` does. A job that is in the way makes it fail, so that it is tried again soon.
    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        if !core.clock.is_steady_for(core.config().server.gc_grace) {
            // The doctor says why.
            self.pause = self.interval.min(RECHECK);
            return Ok(());
        }
        if !core.catalog.storages_to_rebuild().await?.is_empty() {
            // What is found there may refer to what would be removed now.
            self.pause = self.interval.min(RECHECK);
            return Ok(());
        }
        let request = JobRequest::Gc {
            cache: None,
            dry_run: false,
            to_size: None,
            older_than: None,
            accept_clock: false,
            for_room: false,
            no_trash: false,
            brief: false,
        };
        let started = self.jobs.start_unattended(core, request).map_err(|error| error.message)?;
        self.pause = self.interval;
        let mut end = started.watching.end;
        // The end of the daemon ends the job as well.
        match stop.run_until_cancelled(end.wait_for(Option::is_some)).await {
            Some(Ok(end)) => match &*end {
                Some(End::Failed(error)) => Err(error.message.clone().into()),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn interval(&self) -> Option<Duration> {
        Some(self.pause)
    }
}
