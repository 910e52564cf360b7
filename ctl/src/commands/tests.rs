//! What each command shows, compared with `tests/golden`; `UPDATE_GOLDEN=1` writes those files anew.
#![allow(clippy::unwrap_used)]

mod samples;

use std::path::Path;
use std::{env, fs};

use super::*;
use samples::NOW;

const TERMINAL: Look = Look { width: Some(80), colour: false, now: NOW };
const PIPE: Look = Look { width: None, colour: false, now: NOW };

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
fn all_about_a_cache_reads_well() {
    assert_golden("cache.80.txt", &cache::render(&samples::cache(), &TERMINAL));
}

#[test]
fn all_about_a_path_reads_well() {
    assert_golden("path.80.txt", &path::render(&samples::path(), &TERMINAL));
}

#[test]
fn json_is_what_the_daemon_said() {
    let status = samples::status();
    let json = crate::output::to_json(&status);
    assert_eq!(serde_json::from_str::<admin_api::Status>(&json).unwrap(), status);
    assert_golden("status.json", &json);
}
