//! Makes the files beside the NARs durable, a batch at a time, so that no push waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// How long to collect paths before a batch.
const GATHER: Duration = Duration::from_secs(1);
/// How often to look for what other daemons that share the catalog left.
const LOOK_AROUND: Duration = Duration::from_secs(60);

pub(super) struct Publisher;

impl Worker for Publisher {
    fn name(&self) -> String {
        "publisher".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "writes narinfo files and listings to the storages"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let due = core.publisher.wait_until_due();
        if core.catalog.is_shared() {
            let _ = tokio::time::timeout(LOOK_AROUND, due).await;
        } else {
            due.await;
        }
        tokio::time::sleep(GATHER).await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        if core.publisher.publish_due(&core.caches(), stop).await? {
            Ok(())
        } else {
            Err("the files of some paths could not be written yet".into())
        }
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn ends_with_a_round(&self) -> bool {
        true
    }
}
