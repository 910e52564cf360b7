//! Ends uploads that nobody finishes, and forgets finished ones that nobody will ask about again.

use std::sync::Arc;
use std::time::Duration;

use catalog::UnixTime;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// How long a `complete` may be repeated and still find its upload. Clients give up after minutes.
const FINISHED_KEPT_SECONDS: i64 = 2 * 24 * 3600;
/// Longest pause between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Reaper {
    pause: Duration,
}

impl Reaper {
    pub(super) fn new(core: &Core) -> Self {
        let limit = core.config().server.upload_expiry;
        Self { pause: (limit / 4).clamp(Duration::from_millis(250), LONGEST_PAUSE) }
    }
}

impl Worker for Reaper {
    fn name(&self) -> String {
        "reaper".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "discards uploads that were not finished"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(self.pause).await;
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        // By a wrong clock everything is too old.
        if core.clock.doubt().is_some() {
            return Ok(());
        }
        let expired = core.uploads.expire(core.config().server.upload_expiry);
        if expired > 0 {
            tracing::info!(expired, "ended uploads that were never finished");
        }
        let before = UnixTime(UnixTime::now().0 - FINISHED_KEPT_SECONDS);
        core.catalog.forget_finished_uploads(before).await?;
        if core.catalog.is_shared() {
            forget_lost_uploads(core).await?;
        }
        // Of uploads that ended without being recorded, and those that were too young before.
        core.remove_leftovers().await;
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        Some(self.pause)
    }
}

/// Forgets uploads that other daemons have begun and never ended, as they did not come back.
async fn forget_lost_uploads(core: &Core) -> Result<(), Failure> {
    let limit = i64::try_from(core.config().server.upload_expiry.as_secs()).unwrap_or(i64::MAX);
    // An upload may be under way for longer than it may stand still.
    let before = UnixTime(UnixTime::now().0.saturating_sub(limit).saturating_sub(FINISHED_KEPT_SECONDS));
    core.catalog.forget_open_uploads_before(before).await?;
    Ok(())
}
