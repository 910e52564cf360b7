//! Finds out when a catalog that could not be written can be written again.
//!
//! While it cannot, pushes are refused before they send bytes, so hardly anything else would try.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;
use crate::systemd;

/// How often to look whether the catalog is still writable, as far as others have tried.
const LOOK: Duration = Duration::from_millis(500);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Catalog;

impl Worker for Catalog {
    fn name(&self) -> String {
        "catalog".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "retries a catalog that cannot be written"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(failure) = core.catalog.write_failure() {
                systemd::notify_status(&format!(
                    "read-only, as the catalog cannot be written: {}",
                    failure.reason
                ));
                return;
            }
        }
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        core.catalog.try_writing().await?;
        systemd::notify_status("serving");
        Ok(())
    }

    fn longest_pause(&self) -> Duration {
        LONGEST_PAUSE
    }
}
