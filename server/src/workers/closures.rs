//! Tends what the caches rely on to be elsewhere: looks for what closures lack, and whether upstreams still have what pushes left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// Longest pause between two rounds.
const PAUSE: Duration = Duration::from_secs(60);
/// Shortest pause: pushes come in bursts.
const GATHER: Duration = Duration::from_millis(100);
/// How many times as long as a round the pause after it is, at least.
const SHARE: u32 = 4;

/// The worker.
pub(super) struct Closures {
    last_round: Duration,
}

impl Closures {
    pub(super) fn new() -> Self {
        Self { last_round: Duration::ZERO }
    }
}

impl Worker for Closures {
    fn name(&self) -> String {
        "closures".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "checks that upstreams still have what closures need"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        tokio::time::sleep(GATHER.max(self.last_round * SHARE).min(PAUSE)).await;
        let pause = (core.config().server.federation.watch_interval / 8).clamp(GATHER, PAUSE);
        tokio::select! {
            () = core.ingest.incomplete() => {}
            () = core.federation.reliance_due() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        let begun = Instant::now();
        let watch = core.config().server.federation.watch_interval;
        for cache in core.caches().iter() {
            let tending = core.federation.tend_reliance(cache, watch);
            match stop.run_until_cancelled(tending).await {
                Some(tended) => tended?,
                None => return Ok(()),
            }
        }
        self.last_round = begun.elapsed();
        Ok(())
    }
}
