//! Figures of a cache. They are sums over all that it holds, so they are kept for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Added, CacheId, NarSums, UnixTime};
use parking_lot::Mutex;

use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::state::State;

/// Days that the growth is shown for.
pub const DAYS: usize = 30;
/// Seconds of a day.
pub const DAY: u32 = 86_400;
/// Figures are kept for so many times as long as it took to add them up: a crawler makes the server spend no more than a twentieth of
/// its time on that.
const KEPT_FACTOR: u32 = 20;
/// But no longer than this.
const KEPT: Duration = Duration::from_secs(60);

/// Figures of a cache.
pub struct Figures {
    /// Files and bytes.
    pub sums: NarSums,
    /// When a path was last pushed.
    pub newest: Option<UnixTime>,
    /// What was added on each of the last [`DAYS`] days and is still there, the last of which is today (UTC).
    pub growth: Vec<Added>,
    /// The first of these days.
    pub since: UnixTime,
    made: Instant,
    took: Duration,
}

/// The figures that are kept.
#[derive(Default)]
pub struct KeptFigures(Mutex<HashMap<CacheId, Arc<Figures>>>);

/// Returns the figures of a cache.
///
/// # Errors
///
/// That of the catalog.
pub async fn figures_of(state: &State, cache: &Cache) -> Result<Arc<Figures>, HttpError> {
    if let Some(kept) = state.figures.0.lock().get(&cache.id)
        && kept.made.elapsed() < (kept.took * KEPT_FACTOR).min(KEPT)
    {
        return Ok(kept.clone());
    }
    let begun = Instant::now();
    let today = UnixTime::now().0.div_euclid(DAY.into()) * i64::from(DAY);
    let since = UnixTime(today - i64::from(DAY) * (DAYS as i64 - 1));
    let newest = state.catalog.newest_paths(cache.id, 1).await?;
    let figures = Arc::new(Figures {
        sums: state.catalog.nar_sums(cache.id).await?,
        newest: newest.first().map(|line| line.created_at),
        growth: state.catalog.added_since(cache.id, since, DAY, DAYS).await?,
        since,
        made: Instant::now(),
        took: begun.elapsed(),
    });
    state.figures.0.lock().insert(cache.id, figures.clone());
    Ok(figures)
}
