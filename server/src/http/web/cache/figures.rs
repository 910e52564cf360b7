//! Figures of a cache. They are sums over all that it holds, so they are added up beside the pages, and kept for a while. A page waits
//! for them briefly, and else shows what was known before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Added, CacheId, CacheSize, Catalog, CatalogError, NarSums, UnixTime};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::cache::Cache;
use crate::chain::chain;
use crate::http::error::HttpError;
use crate::http::state::State;

/// Days that the growth is shown for.
pub const DAYS: usize = 30;
/// Days that the size is shown for, at most.
pub const DAYS_OF_SIZES: i64 = 365;
/// Seconds of a day.
pub const DAY: u32 = 86_400;
/// Figures are kept for so many times as long as it took to add them up: a crawler makes the server spend no more than a twentieth of
/// its time on that.
const KEPT_FACTOR: u32 = 20;
/// But no longer than this.
const KEPT: Duration = Duration::from_secs(60);
/// How long a page waits for figures that are being added up.
const PATIENCE: Duration = Duration::from_millis(150);

/// Figures of a cache.
#[derive(Clone)]
pub struct Figures {
    /// Files and bytes.
    pub sums: NarSums,
    /// When a path was last pushed.
    pub newest: Option<UnixTime>,
    /// What was added on each of the last [`DAYS`] days and is still there, the last of which is today (UTC). Empty until it has been
    /// added up for the first time.
    pub growth: Vec<Added>,
    /// The first of these days.
    pub since: UnixTime,
    /// How large the cache was on earlier days, oldest first, as far as that was noted.
    pub sizes: Vec<CacheSize>,
    made: Instant,
    took: Duration,
}

/// The figures that are kept.
#[derive(Clone, Default)]
pub struct KeptFigures(Arc<Kept>);

#[derive(Default)]
struct Kept {
    figures: Mutex<HashMap<CacheId, Arc<Figures>>>,
    /// The caches whose figures are being added up.
    adding: Mutex<HashSet<CacheId>>,
    /// Signalled whenever some have been.
    added: Notify,
}

/// Ends the adding up, however it ends.
struct Adding(Arc<Kept>, CacheId);

impl Drop for Adding {
    fn drop(&mut self) {
        self.0.adding.lock().remove(&self.1);
        self.0.added.notify_waiters();
    }
}

/// Returns the figures of a cache, which may be a while old.
///
/// # Errors
///
/// That of the catalog.
pub async fn figures_of(state: &State, cache: &Cache) -> Result<Arc<Figures>, HttpError> {
    let kept = &state.figures.0;
    let find = || kept.figures.lock().get(&cache.id).cloned();
    let is_fresh = |found: &Arc<Figures>| found.made.elapsed() < (found.took * KEPT_FACTOR).min(KEPT);
    if let Some(found) = find().filter(is_fresh) {
        return Ok(found);
    }
    let mut added = std::pin::pin!(kept.added.notified());
    // From here on, none is missed.
    added.as_mut().enable();
    if kept.adding.lock().insert(cache.id) {
        let (adding, catalog) = (Adding(kept.clone(), cache.id), state.catalog.unhurried());
        tokio::spawn(async move {
            match add_up(&catalog, adding.1).await {
                Ok(figures) => {
                    adding.0.figures.lock().insert(adding.1, Arc::new(figures));
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "could not add up the figures of a cache")
                }
            }
        });
    }
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        if !kept.adding.lock().contains(&cache.id) {
            break;
        }
        // Those of another cache may be first.
        tokio::select! {
            () = added.as_mut() => added.set(kept.added.notified()),
            () = patience.as_mut() => break,
        }
    }
    match find() {
        Some(found) => Ok(found),
        None => Ok(Arc::new(at_once(&state.catalog.unhurried(), cache).await?)),
    }
}

/// The day, since 1970, and the first one that growth is shown for.
fn days() -> (i64, UnixTime) {
    let today = UnixTime::now().0.div_euclid(DAY.into());
    (today, UnixTime((today + 1 - DAYS as i64) * i64::from(DAY)))
}

/// What is known without reading all of a cache. The sums are those of the storages, and of the last day that was noted.
async fn at_once(catalog: &Catalog, cache: &Cache) -> Result<Figures, CatalogError> {
    let begun = Instant::now();
    let (today, since) = days();
    let sizes = catalog.sizes_since(cache.id, today - DAYS_OF_SIZES).await?;
    let file_bytes = cache.storages().snapshot().iter().map(|storage| storage.used).sum();
    let nar_bytes = sizes.last().map_or(0, |last| last.nar_bytes.unsigned_abs());
    let newest = catalog.newest_paths(cache.id, 1).await?;
    Ok(Figures {
        sums: NarSums { nars: 0, file_bytes, nar_bytes },
        newest: newest.first().map(|line| line.created_at),
        growth: Vec::new(),
        since,
        sizes,
        made: begun,
        took: begun.elapsed(),
    })
}

async fn add_up(catalog: &Catalog, cache: CacheId) -> Result<Figures, CatalogError> {
    let begun = Instant::now();
    let (today, since) = days();
    let newest = catalog.newest_paths(cache, 1).await?;
    Ok(Figures {
        sums: catalog.nar_sums(cache).await?,
        newest: newest.first().map(|line| line.created_at),
        growth: catalog.added_since(cache, since, DAY, DAYS).await?,
        since,
        sizes: catalog.sizes_since(cache, today - DAYS_OF_SIZES).await?,
        made: Instant::now(),
        took: begun.elapsed(),
    })
}
