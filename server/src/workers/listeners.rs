//! Opens addresses that could not be opened before.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::app::App;

pub(super) struct Listeners;

#[async_trait]
impl Worker for Listeners {
    fn name(&self) -> String {
        "listeners".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "opens ports that could not be opened before"
    }

    async fn wait(&mut self, app: &Arc<App>) {
        app.listeners.retry_due().await;
    }

    async fn work(&mut self, app: &Arc<App>, stop: &CancellationToken) -> Result<(), Failure> {
        stop.run_until_cancelled(app.listeners.retry(app)).await;
        Ok(())
    }
}
