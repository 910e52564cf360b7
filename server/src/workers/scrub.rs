//! Reads every file again, slowly, and compares it with its hash.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;
use crate::jobs::{SteadyProgress, scrub_steadily};

/// The longest pause between two looks at what is due.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Scrub {
    interval: Duration,
    progress: Option<SteadyProgress>,
}

impl Scrub {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, progress: None }
    }
}

impl Worker for Scrub {
    fn name(&self) -> String {
        "scrub".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "reads every file again and hides the damaged ones"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(self.pause()).await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        self.progress = Some(scrub_steadily(core, self.interval, stop).await?);
        Ok(())
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn interval(&self) -> Option<Duration> {
        Some(self.pause())
    }

    fn progress(&self) -> Option<String> {
        let SteadyProgress { read, total, damaged } = self.progress?;
        let percent = (read * 100).checked_div(total).unwrap_or(100);
        Some(format!("{percent} % read, {damaged} files damaged"))
    }
}

impl Scrub {
    fn pause(&self) -> Duration {
        (self.interval / 100).clamp(Duration::from_millis(100), LONGEST_PAUSE)
    }
}
