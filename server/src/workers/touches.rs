//! Writes down in batches when paths were last used.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Uses noted since the last round are lost in a crash; retention counts in days.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        let stopping = stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none();
        for cache in app.caches.iter() {
            let touched = cache.index.take_touched();
            if touched.is_empty() {
                continue;
            }
            if let Err(error) = app.catalog.touch(touched).await {
                tracing::warn!(cache = cache.name(), %error, "could not record which paths were used");
            }
        }
        if stopping {
            return;
        }
    }
}
