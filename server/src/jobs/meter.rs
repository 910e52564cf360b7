//! Counts jobs as they end, and what collections removed.

use admin_api::{JobInfo, JobKind, JobState, JobSummary};

use crate::core::Core;
use crate::counters::labels::JobOutcome;
use crate::counters::{JOBS, JobMeter};

/// The meter of a kind of job; its place is that in [`crate::counters::JOB_KINDS`].
fn meter(kind: JobKind) -> Option<&'static JobMeter> {
    let number = match kind {
        JobKind::Drain => 0,
        JobKind::Rebalance => 1,
        JobKind::Scrub => 2,
        JobKind::Fsck => 3,
        JobKind::Gc => 4,
        JobKind::DeleteCache => 5,
        JobKind::Backup => 6,
        JobKind::Import => 7,
        JobKind::Export => 8,
        JobKind::Unknown => return None,
    };
    JOBS.get(number)
}

/// Counts a job that has started.
pub(super) fn note_start(kind: JobKind) {
    if let Some(meter) = meter(kind) {
        meter.running.add(1);
    }
}

/// Counts a job that has ended.
pub(super) fn note_end(core: &Core, job: &JobInfo) {
    let Some(meter) = meter(job.kind) else { return };
    meter.running.add(-1);
    meter.ends.count(match job.state {
        JobState::Done => JobOutcome::Done,
        JobState::Failed => JobOutcome::Failed,
        _ => JobOutcome::Stopped,
    });
    note_success(meter, job);
    let Some(JobSummary::Gc(summary)) = &job.summary else { return };
    for collected in &summary.caches {
        if let Some(cache) = core.find_cache(&collected.cache) {
            cache.counters.collected_paths.add(collected.paths_removed);
            cache.counters.collected_bytes.add(collected.bytes_freed);
        }
    }
}

/// Takes note of a job that ended before the daemon started.
pub(super) fn note_earlier(job: &JobInfo) {
    if let Some(meter) = meter(job.kind) {
        note_success(meter, job);
    }
}

/// A dry run of a collection is none.
fn note_success(meter: &JobMeter, job: &JobInfo) {
    let is_dry = match &job.summary {
        Some(JobSummary::Gc(summary)) => summary.dry_run,
        Some(JobSummary::Import(summary)) => summary.dry_run,
        Some(JobSummary::Export(summary)) => summary.dry_run,
        _ => false,
    };
    if let (JobState::Done, Some(end), false) = (job.state, job.finished_at, is_dry)
        && end >= meter.last_success.get()
    {
        meter.last_success.set(end);
        meter.last_duration.set(end.saturating_sub(job.started_at));
    }
}
