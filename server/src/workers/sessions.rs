//! Forgets sessions that ended long ago.

use std::sync::Arc;
use std::time::Duration;

use catalog::UnixTime;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(3600);
/// How long after its end it can be found out who a session was, in seconds.
const REMEMBERED: i64 = 90 * 86_400;

pub(super) struct Sessions;

impl Worker for Sessions {
    fn name(&self) -> String {
        "sessions".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "deletes records of OpenID pushes after 90 days"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(PAUSE).await;
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        // By a wrong clock all of them ended long ago.
        if core.clock.doubt().is_none() {
            core.catalog.forget_sessions(UnixTime(UnixTime::now().0.saturating_sub(REMEMBERED))).await?;
        }
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        Some(PAUSE)
    }
}
