//! Notes on the storages how far the catalog has come, so that an older catalog is noticed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// The shortest time between two notes on a storage: each takes two writes that wait for a disk or a service. What is pushed
/// in between is in the journal.
const PAUSE: Duration = Duration::from_secs(5);
/// How often to look for storages that came back, or that could not be written to.
const LOOK_AROUND: Duration = Duration::from_secs(60);

/// Notes the generations of storages.
pub(super) struct Generations {
    /// The time of the last note.
    noted: Option<Instant>,
}

impl Generations {
    pub(super) fn new() -> Self {
        Self { noted: None }
    }
}

impl Worker for Generations {
    fn name(&self) -> String {
        "generations".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "records the state of the catalog on the storages"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let _ = timeout(LOOK_AROUND, core.nar_store.wait_until_touched()).await;
        if let Some(noted) = self.noted {
            sleep_until(noted + PAUSE).await;
        }
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        self.noted = Some(Instant::now());
        Ok(core.nar_store.note_generations(&core.caches()).await?)
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn ends_with_a_round(&self) -> bool {
        true
    }
}
