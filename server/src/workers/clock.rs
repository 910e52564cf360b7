//! Notes the time now and then, for the next start to compare the clock with.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::clock::NOTE_INTERVAL;
use crate::core::Core;

pub(super) struct Clock;

impl Worker for Clock {
    fn name(&self) -> String {
        "clock".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "checks the system clock"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(NOTE_INTERVAL).await;
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        Ok(core.clock.note().await?)
    }

    fn interval(&self) -> Option<Duration> {
        Some(NOTE_INTERVAL)
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn ends_with_a_round(&self) -> bool {
        true
    }
}
