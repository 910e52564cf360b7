//! Notes how large each cache is, once an hour, so that pages can show how it grew from day to day.

use std::sync::Arc;
use std::time::Duration;

use catalog::{CacheSize, UnixTime};
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::core::Core;

/// The pause between two rounds. The last one of a day stays.
const PAUSE: Duration = Duration::from_secs(3600);
/// Days that are kept: a year, and as much as shows what it was like a year ago.
pub const DAYS_KEPT: i64 = 400;
const SECONDS_OF_DAY: i64 = 86_400;

pub(super) struct Sizes;

impl Worker for Sizes {
    fn name(&self) -> String {
        "sizes".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "records the size of each cache"
    }

    async fn wait(&mut self, _: &Arc<Core>) {
        tokio::time::sleep(PAUSE).await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        // By a wrong clock it would be the size of another day.
        if core.clock.doubt().is_some() {
            return Ok(());
        }
        let day = UnixTime::now().0.div_euclid(SECONDS_OF_DAY);
        let mut sizes = Vec::new();
        for cache in core.caches().iter() {
            if stop.is_cancelled() {
                return Ok(());
            }
            let stats = core.catalog.cache_stats(cache.id).await?;
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            sizes.push(CacheSize {
                cache: cache.id,
                day,
                paths: whole(stats.paths),
                file_bytes: whole(stats.file_bytes),
                nar_bytes: whole(stats.nar_bytes),
            });
        }
        core.catalog.record_sizes(sizes, day - DAYS_KEPT).await?;
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        Some(PAUSE)
    }

    fn begins_at_once(&self) -> bool {
        true
    }
}
