//! Scrubbing all storages bit by bit, so that each file is read once in an interval.
//!
//! How far it has come is compared with how far it should be by now. So the work is even, a daemon that was away catches up,
//! and several daemons that share a catalog share the work.

use std::time::Duration;

use admin_api::NoteLevel;
use catalog::{CatalogError, JobState, StorageJob, UnixTime};
use tokio_util::sync::CancellationToken;

use super::walk::{BEGINNING, Pace, Walk, Watcher};
use super::{DEFAULT_RATE, bytes_to_scrub};
use crate::core::Core;
use crate::jobs::JobError;

/// How far the scrub of all storages has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SteadyProgress {
    /// Bytes that were read.
    pub read: u64,
    /// Bytes to read in total.
    pub total: u64,
    /// Files that were found damaged, since each storage was begun.
    pub damaged: u64,
}

/// Reads as much as is due by now. When `stop` is cancelled, the rest is left for the next time.
///
/// # Errors
///
/// If the catalog fails.
pub async fn scrub_steadily(
    core: &Core,
    interval: Duration,
    stop: &CancellationToken,
) -> Result<SteadyProgress, CatalogError> {
    let mut progress = SteadyProgress::default();
    for cache in core.caches().iter() {
        for storage in cache.storages().iter().filter(|storage| cache.gives_from(storage.id)) {
            let total = bytes_to_scrub(core, cache, storage).await?;
            let saved = core.catalog.job_state(storage.id, StorageJob::SteadyScrub).await?;
            let (mut state, due) = due(saved, total, interval, UnixTime::now());
            if saved != Some(state) {
                core.catalog.save_job_state(storage.id, StorageJob::SteadyScrub, state).await?;
            }
            if due.is_none_or(|due| state.bytes < due) && state.finished_at.is_none() {
                let watcher = Log { stop };
                let (job, mut pace) = (StorageJob::SteadyScrub, Pace::new(DEFAULT_RATE));
                let pace = &mut pace;
                let mut walk = Walk { core, cache, storage, job, watcher: &watcher, pace };
                match walk.run(&mut state, due).await {
                    Ok(()) | Err(JobError::Stopped) => {}
                    Err(JobError::Failed(error)) => {
                        return Err(CatalogError::Unavailable { reason: error.message });
                    }
                }
                if state.finished_at.is_some() {
                    let place = format!("{}/{}", cache.name(), storage.name());
                    let JobState { files, bytes, damaged, failed, .. } = state;
                    tracing::info!(
                        storage = place,
                        files,
                        bytes,
                        damaged,
                        unreadable = failed,
                        "scrubbed a storage"
                    );
                }
            }
            progress.total += total;
            progress.read += if state.finished_at.is_some() { total } else { state.bytes.min(total) };
            progress.damaged += state.damaged;
        }
    }
    Ok(progress)
}

/// From where to go on, and how many bytes should have been read by now; `None` for all.
fn due(saved: Option<JobState>, total: u64, interval: Duration, now: UnixTime) -> (JobState, Option<u64>) {
    let length = interval.as_secs().max(1);
    let age = |state: &JobState| u64::try_from(now.0.saturating_sub(state.started_at.0)).unwrap_or_default();
    let is_current = |state: &JobState| state.finished_at.is_none() || age(state) < length;
    let state = saved.filter(is_current).unwrap_or(JobState { started_at: now, ..BEGINNING });
    let share = u128::from(total) * u128::from(age(&state)) / u128::from(length);
    (state, u64::try_from(share).ok().filter(|_| age(&state) < length))
}

/// Says in the log what was found.
struct Log<'a> {
    stop: &'a CancellationToken,
}

impl Watcher for Log<'_> {
    fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    fn advance(&self, _: u64) {}

    fn note(&self, level: NoteLevel, text: String) {
        match level {
            NoteLevel::Warn => tracing::warn!("{text}"),
            NoteLevel::Info => tracing::info!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const START: UnixTime = UnixTime(1_800_000_000);

    fn later(share: f64) -> UnixTime {
        UnixTime(START.0 + (86_400.0 * share) as i64)
    }

    fn begun(bytes: u64) -> JobState {
        JobState { started_at: START, bytes, ..BEGINNING }
    }

    #[test]
    fn half_is_due_after_half_of_the_interval_and_all_after_the_whole() {
        assert_eq!(due(Some(begun(10)), 1000, DAY, later(0.5)), (begun(10), Some(500)));
        assert_eq!(due(Some(begun(10)), 1000, DAY, later(1.0)), (begun(10), None));
        assert_eq!(due(Some(begun(10)), 1000, DAY, later(3.0)), (begun(10), None));
    }

    #[test]
    fn a_new_round_begins_an_interval_after_the_last_one_began() {
        let finished = JobState { finished_at: Some(later(0.2)), ..begun(1000) };
        assert_eq!(due(Some(finished), 1000, DAY, later(0.9)).0, finished);
        let next = JobState { started_at: later(1.1), ..BEGINNING };
        assert_eq!(due(Some(finished), 1000, DAY, later(1.1)), (next, Some(0)));
        assert_eq!(due(None, 1000, DAY, later(1.1)), (next, Some(0)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_due() {
        assert_eq!(due(Some(begun(10)), 1000, DAY, later(-2.0)), (begun(10), Some(0)));
    }
}
