//! What each command shows, compared with `tests/golden`; `UPDATE_GOLDEN=1` writes those files anew.
#![allow(clippy::unwrap_used)]

mod deploying;
mod json;
mod keeping;
mod narrow;
mod networking;
mod running;
mod samples;

use std::path::Path;
use std::{env, fs};

use admin_api::{JobInfo, JobState, JobSummary, StorageSummary};

use super::*;
use crate::follow;
use samples::NOW;

const TERMINAL: Look = Look { width: Some(80), colour: false, draws_lines: true, now: NOW };
const PIPE: Look = Look { width: None, colour: false, draws_lines: true, now: NOW };

#[track_caller]
fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; if that is meant, run with UPDATE_GOLDEN=1");
}

#[track_caller]
fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
}

#[test]
fn status_reads_well_at_80_columns() {
    let text = status::render(&samples::status(), &TERMINAL);
    assert_fits(&text);
    assert_golden("status.80.txt", &text);
}

#[test]
fn status_in_a_pipe_has_no_rules() {
    let text = status::render(&samples::status(), &PIPE);
    assert!(text.is_ascii(), "{text}");
    assert_golden("status.pipe.txt", &text);
}

#[test]
fn a_list_of_uploads_reads_well_at_80_columns() {
    let text = upload::table(&samples::uploads(), &TERMINAL);
    assert_golden("uploads.80.txt", &text);
    assert_eq!(upload::table(&[], &TERMINAL), "No upload is under way.\n");
}

#[test]
fn a_list_of_tokens_reads_well_at_80_columns() {
    let text = token::table(&samples::tokens(), &TERMINAL);
    assert_fits(&text);
    assert_golden("tokens.80.txt", &text);
}

#[test]
fn a_list_of_tokens_in_a_pipe_has_one_line_each() {
    let tokens = samples::tokens();
    let text = token::table(&tokens, &PIPE);
    assert_eq!(text.lines().count(), tokens.len() + 1);
    assert_golden("tokens.pipe.txt", &text);
}

#[test]
fn a_list_of_caches_reads_well_at_80_columns() {
    let text = cache::table(&samples::status().caches, &TERMINAL);
    assert_fits(&text);
    assert_golden("caches.80.txt", &text);
}

#[test]
fn a_list_of_storages_reads_well_at_80_columns() {
    let text = storage::table(&samples::storages(), &TERMINAL);
    assert_fits(&text);
    assert_golden("storages.80.txt", &text);
}

#[test]
fn a_list_of_storages_in_a_pipe_has_one_line_each() {
    let storages: Vec<_> = samples::storages()
        .into_iter()
        .map(|storage| StorageSummary { last_error: None, by_product_bytes: 0, upload_bytes: 0, ..storage })
        .collect();
    let text = storage::table(&storages, &PIPE);
    assert_eq!(text.lines().count(), storages.len() + 1);
    assert_golden("storages.pipe.txt", &text);
}

#[test]
fn storages_without_damage_need_no_column_for_it() {
    let text = storage::table(&samples::status().storages, &TERMINAL);
    assert!(!text.contains("DAMAGED"), "{text}");
}

#[test]
fn the_error_of_a_recovered_storage_is_not_in_the_status() {
    let storages = samples::storages();
    let recovered: Vec<_> = storages.into_iter().filter(|storage| storage.name == "ssd").collect();
    assert!(!storage::status_table(&recovered, &TERMINAL).contains("no answer"));
    assert!(storage::table(&recovered, &TERMINAL).contains("ok for 3d; last error: no answer"));
}

#[test]
fn usage_reads_well_at_80_columns() {
    let caches = samples::status().caches;
    let all_bytes = 2 * caches[0].file_bytes;
    let usage = usage::Usage {
        caches: Some(caches),
        storages: Some(samples::storages()),
        by_age: Some(samples::paths::ages()),
        largest: Some(samples::paths::rows()),
        physical: Some(samples::paths::physical()),
        all_bytes,
    };
    let text = usage::render(&usage, &TERMINAL);
    assert_fits(&text);
    assert_golden("usage.80.txt", &text);
}

#[test]
fn a_list_of_jobs_reads_well_at_80_columns() {
    let text = job::table(&samples::jobs(), &TERMINAL);
    assert_fits(&text);
    assert_golden("jobs.80.txt", &text);
}

#[test]
fn a_list_of_many_jobs_fits_on_a_screen_and_says_how_to_see_the_rest() {
    assert_golden("jobs.short.80.txt", &job::list(&samples::jobs(), false, &TERMINAL));
    // The daemon remembers 32 that have ended, and lists the newest first.
    let ended = samples::jobs().into_iter().find(|job| job.state == JobState::Done).unwrap();
    let mut jobs = samples::jobs();
    jobs.retain(|job| job.state == JobState::Running);
    jobs.extend((1..=32).rev().map(|id| JobInfo { id: format!("id{id}"), ..ended.clone() }));
    let text = job::list(&jobs, false, &TERMINAL);
    assert_fits(&text);
    assert!(text.lines().count() < 24, "{text}");
    assert!(!text.contains("id22 ") && text.contains("id23 ") && text.contains("id32 "), "{text}");
    assert!(text.contains("22 earlier jobs not shown: `cachectl job list --all`"), "{text}");
    for (all, look) in [(true, TERMINAL), (false, PIPE)] {
        let text = job::list(&jobs, all, &look);
        assert!(text.contains("id1 ") && !text.contains("not shown"), "{text}");
    }
}

#[test]
fn a_list_of_jobs_in_a_pipe_has_one_line_each() {
    assert_golden("jobs.pipe.txt", &job::table(&samples::jobs(), &PIPE));
}

#[test]
fn the_results_of_jobs_read_well_at_80_columns() {
    let mut summaries = samples::summaries().to_vec();
    let JobSummary::Fsck(mut fsck) = summaries[3].clone() else { panic!("another summary") };
    fsck.dry_run = true;
    summaries.push(JobSummary::Fsck(fsck));
    let texts: Vec<_> = summaries.iter().map(|summary| follow::render(summary, &TERMINAL)).collect();
    let text = texts.join("\n");
    assert_fits(&text);
    assert_golden("outcomes.80.txt", &text);
}

#[test]
fn all_about_a_cache_reads_well() {
    assert_golden("cache.80.txt", &cache::render(&samples::cache(), &TERMINAL));
}

#[test]
fn all_about_a_path_reads_well() {
    assert_golden("path.80.txt", &path::render(&samples::path(), &TERMINAL));
}
