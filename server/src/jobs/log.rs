//! What the log says of jobs: a line when one starts, and one with its figures when it ends.

use admin_api::{FsckStorage, JobInfo, JobKind, JobState, JobSummary, MoveSummary};

/// Logs the start of a job.
pub(super) fn started(job: &JobInfo) {
    tracing::info!(job = job.id, kind = kind(job.kind), subject = job.subject, "a job has started");
}

/// Logs the end of a job.
pub(super) fn ended(job: &JobInfo) {
    let seconds = job.finished_at.map(|end| end.saturating_sub(job.started_at).max(0));
    let kind = kind(job.kind);
    // The fields that all of them have come first.
    macro_rules! line {
        ($level:ident, $message:literal, $($field:tt)*) => {
            tracing::$level!(job = job.id, kind, subject = job.subject, state = state(job.state), seconds, $($field)*, $message)
        };
    }
    match &job.summary {
        _ if job.state == JobState::Failed => {
            line!(error, "a job has failed", error = job.last_error);
        }
        None | Some(JobSummary::Unknown) => line!(info, "a job has ended", done = job.done),
        Some(JobSummary::Drain(moves)) => {
            let MoveSummary { moved_files, moved_bytes, left_files, left_bytes } = *moves;
            line!(info, "a job has ended", moved_files, moved_bytes, left_files, left_bytes);
        }
        Some(JobSummary::Rebalance(rebalance)) => {
            let MoveSummary { moved_files, moved_bytes, left_files, left_bytes } = rebalance.moves;
            line!(info, "a job has ended", moved_files, moved_bytes, left_files, left_bytes);
        }
        Some(JobSummary::Scrub(scrub)) => {
            let (files, bytes, damaged, unreadable) =
                (scrub.files, scrub.bytes, scrub.damaged, scrub.unreadable);
            line!(info, "a job has ended", files, bytes, damaged, unreadable);
        }
        Some(JobSummary::Fsck(fsck)) => {
            let sum = |of: fn(&FsckStorage) -> u64| fsck.storages.iter().map(of).sum::<u64>();
            let (files, missing) = (sum(|one| one.files_checked), sum(|one| one.missing));
            let (wrong_size, orphans_removed) = (sum(|one| one.wrong_size), sum(|one| one.orphans_removed));
            let (paths_rebuilt, problems) = (sum(|one| one.paths_rebuilt), sum(|one| one.problems));
            let dry_run = fsck.dry_run;
            line!(
                info,
                "a job has ended",
                dry_run,
                files,
                missing,
                wrong_size,
                orphans_removed,
                paths_rebuilt,
                problems
            );
        }
        Some(JobSummary::Gc(gc)) => {
            let paths: u64 = gc.caches.iter().map(|one| one.paths_removed).sum();
            let bytes_freed: u64 = gc.caches.iter().map(|one| one.bytes_freed).sum();
            let dry_run = gc.dry_run;
            line!(info, "a job has ended", dry_run, paths, bytes_freed);
        }
        Some(JobSummary::DeleteCache(deleted)) => {
            let (paths, files) = (deleted.paths, deleted.files);
            let (bytes_freed, left_files) = (deleted.bytes_freed, deleted.left_files);
            line!(info, "a job has ended", paths, files, bytes_freed, left_files);
        }
        Some(JobSummary::Backup(backup)) => line!(info, "a job has ended", bytes = backup.bytes),
        Some(JobSummary::Import(import)) => {
            let (paths, bytes, present) = (import.imported, import.file_bytes, import.present);
            let skipped: u64 = import.skipped.iter().map(|some| some.paths).sum();
            let dry_run = import.dry_run;
            line!(info, "a job has ended", dry_run, paths, bytes, present, skipped);
        }
        Some(JobSummary::Export(export)) => {
            let (paths, bytes) = (export.exported, export.file_bytes);
            let skipped: u64 = export.skipped.iter().map(|some| some.paths).sum();
            let dry_run = export.dry_run;
            line!(info, "a job has ended", dry_run, paths, bytes, skipped);
        }
    }
}

/// The word for a kind of job, as the API and the metrics have it.
fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Drain => "drain",
        JobKind::Rebalance => "rebalance",
        JobKind::Scrub => "scrub",
        JobKind::Fsck => "fsck",
        JobKind::Gc => "gc",
        JobKind::DeleteCache => "delete-cache",
        JobKind::Backup => "backup",
        JobKind::Import => "import",
        JobKind::Export => "export",
        JobKind::Unknown => "unknown",
    }
}

fn state(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Stopped => "stopped",
    }
}
