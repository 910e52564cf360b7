//! The result of a job: in a few words, in full, and whether it is a success.

mod gc;
mod transfer;

pub use gc::table as gc_table;

use admin_api::{
    BackupSummary, DeleteCacheSummary, ExportSummary, FsckStorage, FsckSummary, ImportSummary, JobSummary,
    MoveSummary, RebalanceSummary, ScrubSummary, StorageShare,
};

use crate::error::JobError;
use crate::output::{Column, Look, Table, count, counted, plain, share, size};

/// Renders the result of a job in a few words, for a list.
pub fn brief(summary: &JobSummary) -> String {
    match summary {
        JobSummary::Drain(moves) | JobSummary::Rebalance(RebalanceSummary { moves, .. }) => moved(moves),
        JobSummary::Scrub(scrub) => scrubbed(scrub),
        JobSummary::Fsck(fsck) => checked(fsck),
        JobSummary::Gc(gc) => gc::brief(gc),
        JobSummary::DeleteCache(deleted) => removed(deleted),
        JobSummary::Backup(BackupSummary { file, bytes }) => {
            format!("wrote {} to {}", size(*bytes), plain(file))
        }
        JobSummary::Import(summary) => transfer::imported(summary),
        JobSummary::Export(summary) => transfer::exported(summary),
        JobSummary::Unknown => "done (see --json)".to_owned(),
    }
}

/// Renders the result of a job.
pub fn render(summary: &JobSummary, look: &Look) -> String {
    match summary {
        JobSummary::Rebalance(RebalanceSummary { moves, shares }) if !shares.is_empty() => {
            format!("{}\n{}", sentence(&moved(moves)), share_table(shares, look))
        }
        JobSummary::Fsck(fsck) => {
            fsck.storages.iter().map(|storage| compared(storage, fsck.dry_run)).collect()
        }
        JobSummary::Gc(gc) if !gc.caches.is_empty() => {
            format!("{}\n{}", sentence(&gc::brief(gc)), gc::table(gc, look))
        }
        JobSummary::Import(import) => transfer::render_import(import),
        JobSummary::Export(export) => transfer::render_export(export),
        _ => sentence(&brief(summary)),
    }
}

/// Whether the job did everything that was requested and found no damage.
pub fn judge(job: String, summary: &JobSummary) -> Result<(), JobError> {
    match summary {
        JobSummary::Drain(moves) | JobSummary::Rebalance(RebalanceSummary { moves, .. })
            if moves.left_files > 0 =>
        {
            let (files, bytes) = (counted(moves.left_files, "file"), size(moves.left_bytes));
            Err(JobError::Incomplete { job, left: format!("{files} ({bytes}) not moved") })
        }
        JobSummary::Scrub(scrub) if scrub.damaged > 0 => Err(JobError::Damage { job }),
        JobSummary::Scrub(scrub) if scrub.unreadable > 0 => {
            Err(JobError::Incomplete { job, left: format!("{} not read", counted(scrub.unreadable, "file")) })
        }
        JobSummary::Fsck(fsck) if fsck.storages.iter().any(is_damaged) => Err(JobError::Damage { job }),
        JobSummary::Gc(gc) => gc::judge(job, gc),
        JobSummary::Import(ImportSummary { skipped, .. })
        | JobSummary::Export(ExportSummary { skipped, .. }) => transfer::judge(job, skipped),
        JobSummary::DeleteCache(deleted) if deleted.left_files > 0 => {
            let left = format!("{} not deleted, so the cache stays", counted(deleted.left_files, "file"));
            Err(JobError::Incomplete { job, left })
        }
        _ => Ok(()),
    }
}

fn moved(moves: &MoveSummary) -> String {
    let left = match moves.left_files {
        0 => "nothing left to move".to_owned(),
        files => format!("{} ({}) left", counted(files, "file"), size(moves.left_bytes)),
    };
    format!("moved {} ({}), {left}", counted(moves.moved_files, "file"), size(moves.moved_bytes))
}

fn removed(deleted: &DeleteCacheSummary) -> String {
    let (paths, files) = (counted(deleted.paths, "path"), counted(deleted.files, "file"));
    let left = match deleted.left_files {
        0 => String::new(),
        files => format!(", {} left", counted(files, "file")),
    };
    format!("removed {paths} and {files} ({}){left}", size(deleted.bytes_freed))
}

fn share_table(shares: &[StorageShare], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("STORAGE"),
        Column::number("USED"),
        Column::number("SHARE"),
    ]);
    for storage in shares {
        table.add([
            storage.cache.as_str().into(),
            storage.storage.as_str().into(),
            size(storage.used_bytes).into(),
            share(storage.share_actual, storage.share_wanted).into(),
        ]);
    }
    table.render(look)
}

fn scrubbed(scrub: &ScrubSummary) -> String {
    let mut found = Vec::new();
    if scrub.damaged > 0 {
        found.push(format!("{} damaged", count(scrub.damaged)));
    }
    if scrub.unreadable > 0 {
        found.push(format!("{} unreadable", count(scrub.unreadable)));
    }
    let found = if found.is_empty() { "all intact".to_owned() } else { found.join(", ") };
    format!("read {} ({}), {found}", counted(scrub.files, "file"), size(scrub.bytes))
}

/// Renders the findings on all storages together.
fn checked(fsck: &FsckSummary) -> String {
    let sum = |figure: fn(&FsckStorage) -> u64| fsck.storages.iter().map(figure).sum::<u64>();
    let found = [
        (sum(|storage| storage.missing), "missing"),
        (sum(|storage| storage.wrong_size), "of the wrong size"),
        (sum(|storage| storage.orphans_removed), "orphaned"),
        (sum(|storage| storage.narinfos_rewritten), "without a narinfo"),
        (sum(|storage| storage.unknown_paths), "unknown"),
        (sum(|storage| storage.paths_rebuilt), "rebuilt"),
        (sum(|storage| storage.problems), "with other problems"),
    ];
    let found: Vec<_> = found
        .into_iter()
        .filter(|&(number, _)| number > 0)
        .map(|(number, what)| format!("{} {what}", count(number)))
        .collect();
    let found = if found.is_empty() { "no problems".to_owned() } else { found.join(", ") };
    let dry_run = if fsck.dry_run { " (nothing changed)" } else { "" };
    format!("checked {}, {found}{dry_run}", counted(sum(|storage| storage.files_checked), "file"))
}

/// Renders the findings on one storage, one line for each kind.
fn compared(storage: &FsckStorage, dry_run: bool) -> String {
    let (hidden, removed, rewritten, added) = if dry_run {
        ("to hide until pushed again", "to remove", "to rewrite", "to add to the catalog")
    } else {
        ("hidden until pushed again", "removed", "rewritten", "added to the catalog")
    };
    let found = [
        (storage.missing, format!("{} missing: {hidden}", counted(storage.missing, "file"))),
        (storage.wrong_size, format!("{} of the wrong size: {hidden}", counted(storage.wrong_size, "file"))),
        (storage.orphans_removed, format!("{} {removed}", counted(storage.orphans_removed, "orphan"))),
        (
            storage.narinfos_rewritten,
            format!("{} {rewritten}", counted(storage.narinfos_rewritten, "narinfo")),
        ),
        (storage.paths_rebuilt, format!("{} {added}", counted(storage.paths_rebuilt, "path"))),
        (
            storage.unknown_paths,
            format!(
                "{} unknown to the catalog: add them with `cachectl fsck --rebuild`",
                counted(storage.unknown_paths, "path")
            ),
        ),
        (
            storage.unclaimed_logs,
            format!(
                "{} of derivations without a path: left alone",
                counted(storage.unclaimed_logs, "build log")
            ),
        ),
        (
            storage.unclaimed_realisations,
            format!(
                "{} of paths that are not there: left alone",
                counted(storage.unclaimed_realisations, "realisation")
            ),
        ),
        (
            storage.problems,
            format!("{} to repair by hand: see the warnings", counted(storage.problems, "problem")),
        ),
    ];
    let found: Vec<_> = found.into_iter().filter(|(number, _)| *number > 0).map(|(_, text)| text).collect();
    let verdict = if found.is_empty() { ", no problems." } else { ":" };
    let name = plain(&format!("{}/{}", storage.cache, storage.storage));
    let mut text = format!("{name}: checked {}{verdict}\n", counted(storage.files_checked, "file"));
    for finding in found {
        text.push_str(&format!("  {finding}\n"));
    }
    text
}

fn is_damaged(storage: &FsckStorage) -> bool {
    storage.missing > 0 || storage.wrong_size > 0 || storage.problems > 0
}

/// Adds a capital letter, a full stop and a line feed.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(".\n".chars()).collect()
}
