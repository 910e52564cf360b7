//! Opens addresses that could not be opened before, and the admin socket if it was removed.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::Listeners;
use crate::core::Core;
use crate::workers::{Failure, Worker};

/// The worker that opens again what should be open and is not.
pub struct Reopener(pub Arc<Listeners>);

#[async_trait]
impl Worker for Reopener {
    fn name(&self) -> String {
        "listeners".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "opens ports and sockets that could not be opened or were lost"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        self.0.retry_due().await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        let config = core.config();
        match stop.run_until_cancelled(self.0.retry(&config.server)).await {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }
}
