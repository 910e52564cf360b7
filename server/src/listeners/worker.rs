//! Opens addresses that could not be opened before, and the admin socket if it was removed. Puts new certificates into force.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Listeners;
use crate::core::Core;
use crate::workers::{Failure, Worker};

/// The worker that opens again what should be open and is not.
pub struct Reopener(pub Arc<Listeners>);

impl Worker for Reopener {
    fn name(&self) -> String {
        "listeners".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "retries ports and sockets that could not be opened"
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

/// How often the files of certificates are read.
const CERTIFICATES: Duration = Duration::from_secs(5);

/// The worker that puts certificates into force whose files have changed.
pub struct CertificateWatch;

impl Worker for CertificateWatch {
    fn name(&self) -> String {
        "certificates".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "reloads TLS certificates when their files change"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        loop {
            tokio::time::sleep(CERTIFICATES).await;
            if core.tls.is_used() {
                return;
            }
        }
    }

    async fn work(&mut self, core: &Arc<Core>, _: &CancellationToken) -> Result<(), Failure> {
        let tls = core.tls.clone();
        if tokio::task::spawn_blocking(move || tls.refresh()).await?? {
            tracing::info!("new TLS certificates are in force");
        }
        Ok(())
    }

    /// Whoever writes two files writes one first, so a pair that does not fit is soon tried again.
    fn longest_pause(&self) -> Duration {
        CERTIFICATES
    }
}
