//! Values that take queries of the catalog. They are counted beside the scrapes, again after a pause that grows with what counting
//! takes, so that they cost no more than a twentieth of a reader, however large the caches are. A scrape waits for them only
//! briefly: a catalog that does not answer must not hide everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catalog::{CatalogError, CopyCounts, ElsewhereCounts, StorageJob};
use parking_lot::Mutex;

use super::all;
use super::samples::Samples;
use crate::auth::count_void_tokens;
use crate::chain::chain;
use crate::core::Core;

/// The shortest pause.
const PAUSE: Duration = Duration::from_secs(15);
/// How many times as long as counting the pause is.
const SHARE: u32 = 20;
/// How long a scrape waits for what is being counted.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was counted in the catalog, until it is counted anew.
#[derive(Default)]
pub struct Figures {
    last: Arc<Mutex<Last>>,
    is_counting: Arc<AtomicBool>,
}

#[derive(Default)]
struct Last {
    counted: Arc<Counted>,
    at: Option<Instant>,
    /// When it is time to count anew.
    next: Option<Instant>,
}

/// What was counted.
#[derive(Default)]
struct Counted {
    caches: Vec<(String, [u64; 4])>,
    copies: Vec<(String, [u64; 6])>,
    elsewhere: Vec<(String, ElsewhereCounts)>,
    storages: Vec<(String, String, [u64; 8])>,
    backlogs: Vec<(&'static str, u64)>,
    void_tokens: u64,
    deployments: [u64; 2],
}

/// Ends the counting, however it ends.
struct Counting(Arc<AtomicBool>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Figures {
    /// Adds what was counted. If the catalog fails or takes long, that is what it was before.
    pub(super) async fn collect(&self, core: &Arc<Core>, samples: &mut Samples) {
        let is_due = self.last.lock().next.is_none_or(|next| next <= Instant::now());
        if is_due && !self.is_counting.swap(true, Ordering::Acquire) {
            let counting = Counting(self.is_counting.clone());
            let (core, last) = (core.clone(), self.last.clone());
            let task = tokio::spawn(async move {
                count_anew(&core, &last).await;
                drop(counting);
            });
            // It goes on if it takes longer.
            let _ = tokio::time::timeout(PATIENCE, task).await;
        }
        let (counted, at) = {
            let last = self.last.lock();
            (last.counted.clone(), last.at)
        };
        let age = at.map_or(f64::NAN, |at| at.elapsed().as_secs_f64());
        samples.number(&all::FIGURES_AGE, &[], age);
        counted.add(samples);
    }
}

async fn count_anew(core: &Core, last: &Mutex<Last>) {
    let begun = Instant::now();
    let counted = count(core).await;
    let mut last = last.lock();
    last.next = Some(Instant::now() + PAUSE.max(begun.elapsed() * SHARE));
    match counted {
        Ok(counted) => {
            last.counted = Arc::new(counted);
            last.at = Some(Instant::now());
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "cannot count for the metrics what is in the catalog");
        }
    }
}

async fn count(core: &Core) -> Result<Counted, CatalogError> {
    let catalog = &core.catalog;
    let mut counted = Counted::default();
    for cache in core.caches().iter() {
        let stats = catalog.cache_stats(cache.id).await?;
        let copies = match cache.has_copies() {
            true => catalog.copy_counts(cache.id).await?,
            false => CopyCounts::default(),
        };
        let numbers = [
            copies.there,
            copies.missing,
            copies.missing_bytes,
            copies.exposed,
            copies.damaged,
            copies.leaving,
        ];
        counted.copies.push((cache.name().to_owned(), numbers));
        let incomplete = catalog.count_incomplete(cache.id).await?;
        let numbers = [stats.paths, stats.hidden_paths, stats.nar_bytes, incomplete];
        counted.caches.push((cache.name().to_owned(), numbers));
        counted.elsewhere.push((cache.name().to_owned(), catalog.elsewhere_counts(cache.id).await?));
        for storage in cache.storages().iter() {
            let (stats, trash) =
                (catalog.storage_stats(storage.id).await?, catalog.trash_stats(storage.id).await?);
            let removals = catalog.count_tombstones(storage.id).await?;
            let scrub = catalog.job_state(storage.id, StorageJob::SteadyScrub).await?;
            let (read, damaged) = scrub.map_or((0, 0), |scrub| match scrub.finished_at {
                Some(_) => (stats.file_bytes, scrub.damaged),
                None => (scrub.bytes.min(stats.file_bytes), scrub.damaged),
            });
            let numbers = [
                trash.paths,
                trash.bytes,
                stats.nars,
                stats.damaged_nars,
                removals,
                read,
                stats.file_bytes,
                damaged,
            ];
            counted.storages.push((cache.name().to_owned(), storage.name().to_owned(), numbers));
        }
    }
    let uses: usize = core.caches().iter().map(|cache| cache.index.count_touched()).sum();
    counted.backlogs = vec![
        ("publisher", catalog.count_unpublished().await?),
        ("uses", uses as u64),
        ("recovery", catalog.storages_to_rebuild().await?.len() as u64),
    ];
    counted.void_tokens = count_void_tokens(&catalog.server_keys().await?, &catalog.tokens().await?) as u64;
    for deployment in catalog.open_deployments().await? {
        let is_pending = deployment.status == catalog::DeploymentStatus::Pending;
        counted.deployments[usize::from(!is_pending)] += 1;
    }
    Ok(counted)
}

impl Counted {
    fn add(&self, samples: &mut Samples) {
        for (cache, numbers) in &self.caches {
            let metrics = [&all::PATHS, &all::HIDDEN, &all::NAR_BYTES, &all::INCOMPLETE];
            for (metric, number) in metrics.into_iter().zip(numbers) {
                samples.whole(metric, &[cache], *number);
            }
        }
        for (cache, numbers) in &self.copies {
            let metrics = [
                &all::COPIES_THERE,
                &all::COPIES_MISSING,
                &all::COPIES_MISSING_BYTES,
                &all::COPIES_EXPOSED,
                &all::COPIES_DAMAGED,
                &all::COPIES_LEAVING,
            ];
            for (metric, number) in metrics.into_iter().zip(numbers) {
                samples.whole(metric, &[cache], *number);
            }
        }
        for (cache, counts) in &self.elsewhere {
            samples.whole(&all::ELSEWHERE, &[cache, "present"], counts.present);
            samples.whole(&all::ELSEWHERE, &[cache, "missing"], counts.missing);
        }
        for (cache, storage, numbers) in &self.storages {
            let metrics = [
                &all::TRASH_PATHS,
                &all::TRASH,
                &all::NARS,
                &all::DAMAGED,
                &all::TOMBSTONES,
                &all::SCRUBBED,
                &all::TO_SCRUB,
                &all::SCRUB_DAMAGED,
            ];
            for (metric, number) in metrics.into_iter().zip(numbers) {
                samples.whole(metric, &[cache, storage], *number);
            }
        }
        for (worker, waiting) in &self.backlogs {
            samples.whole(&all::WORKER_BACKLOG, &[worker], *waiting);
        }
        samples.whole(&all::VOID_TOKENS, &[], self.void_tokens);
        for (status, number) in ["pending", "in-progress"].iter().zip(self.deployments) {
            samples.whole(&all::DEPLOYMENTS, &[status], number);
        }
    }
}
