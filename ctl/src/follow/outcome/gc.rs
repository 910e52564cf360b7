//! The result of a garbage collection.

use admin_api::{GcCache, GcSummary};

use crate::error::JobError;
use crate::output::{Column, Look, Table, count, counted, size};

/// Renders the result in all caches together, in a few words.
pub fn brief(gc: &GcSummary) -> String {
    let sum = |figure: fn(&GcCache) -> u64| gc.caches.iter().map(figure).sum::<u64>();
    let kept = count(sum(|cache| cache.kept));
    let mut text = if gc.dry_run {
        let (paths, bytes) = (sum(|cache| cache.paths_to_remove), sum(|cache| cache.bytes_to_remove));
        format!("would remove {} ({}), keep {kept}", counted(paths, "path"), size(bytes))
    } else {
        let (paths, bytes) = (sum(|cache| cache.paths_removed), sum(|cache| cache.bytes_freed));
        format!("removed {} ({}), kept {kept}", counted(paths, "path"), size(bytes))
    };
    let trashed = sum(|cache| cache.bytes_trashed);
    if trashed > 0 {
        text.push_str(&format!(", {} in the trash", size(trashed)));
    }
    let held_back = sum(|cache| cache.held_back);
    if held_back > 0 {
        text.push_str(&format!(", held back {}", count(held_back)));
    }
    let postponed = sum(|cache| cache.postponed);
    if postponed > 0 {
        text.push_str(&format!(", postponed {}", count(postponed)));
    }
    text
}

/// Renders the result in each cache.
pub fn table(gc: &GcSummary, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::number("PATHS"),
        Column::number(if gc.dry_run { "TO REMOVE" } else { "REMOVED" }),
        Column::number("FILES"),
        Column::number(if gc.dry_run { "TO FREE" } else { "FREED" }),
        Column::number("TRASH").unless_empty(),
        Column::number("KEPT"),
        Column::number("PINNED"),
        Column::number("POSTPONED").unless_empty(),
    ]);
    for cache in &gc.caches {
        table.add([
            cache.cache.as_str().into(),
            count(cache.paths_before).into(),
            count(if gc.dry_run { cache.paths_to_remove } else { cache.paths_removed }).into(),
            count(if gc.dry_run { cache.files_to_remove } else { cache.files_removed }).into(),
            size(if gc.dry_run { cache.bytes_to_remove } else { cache.bytes_freed }).into(),
            if cache.bytes_trashed > 0 { size(cache.bytes_trashed) } else { String::new() }.into(),
            count(cache.kept).into(),
            count(cache.pinned).into(),
            if cache.postponed > 0 { count(cache.postponed) } else { String::new() }.into(),
        ]);
    }
    table.render(look)
}

/// Whether everything was removed that should be.
pub fn judge(job: String, gc: &GcSummary) -> Result<(), JobError> {
    let held_back: u64 = gc.caches.iter().map(|cache| cache.held_back).sum();
    if held_back > 0 {
        let left = format!(
            "{} not removed, because they are too many for a collection at `gc-interval`; repeat the command",
            counted(held_back, "path")
        );
        return Err(JobError::Incomplete { job, left });
    }
    match gc.caches.iter().map(|cache| cache.postponed).sum() {
        0 => Ok(()),
        postponed => {
            let left =
                format!("{} not removed because their storage does not answer", counted(postponed, "path"));
            Err(JobError::Incomplete { job, left })
        }
    }
}
