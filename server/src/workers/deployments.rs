//! Ends deployments that take too long, and forgets their logs when they are old.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// Shortest and longest pause between two rounds. The limits that a reload has changed count from the next one on.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

pub(super) struct Deployments;

impl Worker for Deployments {
    fn name(&self) -> String {
        "deployments".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "ends deployments that take too long"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let config = core.config();
        let limit = config.server.deploy_timeout.min(config.server.deploy_pending_timeout);
        tokio::time::sleep((limit / 4).clamp(PAUSE.0, PAUSE.1)).await;
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        let config = core.config();
        core.deploy.expire(config.server.deploy_timeout, config.server.deploy_pending_timeout).await?;
        // By a wrong clock all of them are old.
        if core.clock.doubt().is_none() {
            core.deploy.forget_old_logs().await?;
        }
        Ok(())
    }
}
