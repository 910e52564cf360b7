//! Writes down in batches when paths were last used.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// Uses noted since the last round are lost in a crash; retention counts in days.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Touches;

impl Worker for Touches {
    fn name(&self) -> String {
        "uses".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "records when paths were last used"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(PAUSE).await;
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        for cache in core.caches().iter() {
            cache.record_uses(&core.catalog).await?;
        }
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        Some(PAUSE)
    }

    fn ends_with_a_round(&self) -> bool {
        true
    }
}
