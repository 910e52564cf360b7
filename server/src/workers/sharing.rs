//! Shares files that were just stored with other caches that have them as well.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

pub(super) struct Sharing;

impl Worker for Sharing {
    fn name(&self) -> String {
        "sharing".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "stores equal NARs of several caches once"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        core.nar_store.wait_for_sharing().await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        Ok(core.nar_store.share_stored(&core.caches(), stop).await?)
    }
}
