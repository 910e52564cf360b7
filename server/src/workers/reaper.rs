//! Ends uploads that nobody finishes, and forgets finished ones that nobody will ask about again.

use std::sync::Arc;
use std::time::Duration;

use catalog::UnixTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How long a `complete` may be repeated and still find its upload. Clients give up after minutes.
const FINISHED_KEPT_SECONDS: i64 = 2 * 24 * 3600;
/// Longest pause between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn run(app: Arc<App>, stop: CancellationToken) {
    let limit = app.config.server.upload_expiry;
    let pause = (limit / 4).clamp(Duration::from_millis(250), LONGEST_PAUSE);
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let expired = app.pusher.expire(limit);
        if expired > 0 {
            tracing::info!(expired, "ended uploads that were never finished");
        }
        let before = UnixTime(UnixTime::now().0 - FINISHED_KEPT_SECONDS);
        if let Err(error) = app.catalog.forget_finished_uploads(before).await {
            tracing::warn!(%error, "could not forget finished uploads");
        }
    }
}
