//! The results of imports and exports.

use admin_api::{ExportSummary, ImportSummary, SkippedPaths};

use crate::error::JobError;
use crate::output::{count, counted, plain, size};

/// Renders the result of an import in a few words.
pub fn imported(summary: &ImportSummary) -> String {
    let ImportSummary { imported, file_bytes, nar_bytes, present, filtered, skipped, .. } = summary;
    let verb = if summary.dry_run { "would import" } else { "imported" };
    let others =
        [(*present, "there already"), (*filtered, "left out by the filter"), (sum(skipped), "skipped")];
    moved(verb, *imported, *file_bytes, *nar_bytes) + &list(&others, ", ", "")
}

/// Renders the result of an import in full.
pub fn render_import(summary: &ImportSummary) -> String {
    let ImportSummary { imported, file_bytes, nar_bytes, present, filtered, skipped, .. } = summary;
    let verb = if summary.dry_run { "Would import" } else { "Imported" };
    let others = [(*present, "there already"), (*filtered, "left out by the filter")];
    format!(
        "{}.\n{}{}",
        moved(verb, *imported, *file_bytes, *nar_bytes),
        list(&others, "", "\n"),
        reasons(skipped)
    )
}

/// Renders the result of an export in a few words.
pub fn exported(summary: &ExportSummary) -> String {
    let ExportSummary { exported, file_bytes, nar_bytes, present, skipped, .. } = summary;
    let verb = if summary.dry_run { "would export" } else { "exported" };
    let others = [(*present, "there already"), (sum(skipped), "skipped")];
    moved(verb, *exported, *file_bytes, *nar_bytes) + &list(&others, ", ", "")
}

/// Renders the result of an export in full.
pub fn render_export(summary: &ExportSummary) -> String {
    let ExportSummary { exported, file_bytes, nar_bytes, present, skipped, .. } = summary;
    let verb = if summary.dry_run { "Would export" } else { "Exported" };
    let moved = moved(verb, *exported, *file_bytes, *nar_bytes);
    format!("{moved}.\n{}{}", list(&[(*present, "there already")], "", "\n"), reasons(skipped))
}

/// Whether no path was skipped.
pub fn judge(job: String, skipped: &[SkippedPaths]) -> Result<(), JobError> {
    match sum(skipped) {
        0 => Ok(()),
        paths => Err(JobError::Incomplete { job, left: format!("{} skipped", counted(paths, "path")) }),
    }
}

fn moved(verb: &str, paths: u64, file_bytes: u64, nar_bytes: u64) -> String {
    format!("{verb} {} ({}, {} unpacked)", counted(paths, "path"), size(file_bytes), size(nar_bytes))
}

/// Lists the numbers that are not zero, each between `before` and `after`.
fn list(numbers: &[(u64, &str)], before: &str, after: &str) -> String {
    let there_are = numbers.iter().filter(|(paths, _)| *paths > 0);
    there_are.map(|(paths, what)| format!("{before}{} {what}{after}", counted(*paths, "path"))).collect()
}

/// Renders why paths were skipped, a reason a line, with some of the paths below.
fn reasons(skipped: &[SkippedPaths]) -> String {
    let mut text = String::new();
    for SkippedPaths { reason, paths, examples } in skipped {
        text.push_str(&format!("{} skipped: {}\n", counted(*paths, "path"), plain(reason)));
        for path in examples {
            text.push_str(&format!("  {}\n", plain(path)));
        }
        let more = paths.saturating_sub(examples.len() as u64);
        if more > 0 {
            text.push_str(&format!("  and {} more\n", count(more)));
        }
    }
    text
}

fn sum(skipped: &[SkippedPaths]) -> u64 {
    skipped.iter().map(|skipped| skipped.paths).sum()
}
