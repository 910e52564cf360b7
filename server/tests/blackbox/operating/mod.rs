//! `cachectl` against the real daemon: what an operator does, and the effect on clients.

mod caches;
mod keeping;
mod keys;
mod paths;
mod running;
mod socket;

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::Site;

/// Exit codes of `cachectl` as its help lists them.
const NOT_FOUND: i32 = 5;
const CONFLICT: i32 = 6;

/// A site that collects garbage only on demand, and then everything at once.
fn site() -> Site {
    Site::with(|config| {
        config["server"]["gc-interval"] = json!("off");
        config["server"]["gc-grace"] = json!("0s");
    })
}

/// Returns what `cachectl ARGUMENTS --json` prints.
#[track_caller]
fn ask(site: &Site, arguments: &[&str]) -> Value {
    let text = site.cachectl_ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Checks that `cachectl ARGUMENTS` fails with this exit code, and returns its error.
#[track_caller]
fn fails(site: &Site, arguments: &[&str], code: i32) -> String {
    complaint(&site.cachectl(arguments), code)
}

#[track_caller]
fn complaint(output: &Output, code: i32) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    complaint
}

/// Runs a long job and returns its result.
#[track_caller]
fn job(site: &Site, arguments: &[&str]) -> Value {
    let text = site.cachectl_ok(&[arguments, &["--json"]].concat());
    let last: Value = serde_json::from_str(text.lines().next_back().unwrap()).unwrap();
    assert_eq!(last["event"], "done", "{text}");
    last["summary"].clone()
}

/// Checks that the catalog and the storages agree.
#[track_caller]
fn assert_consistent(site: &Site) {
    for storage in job(site, &["fsck", "--dry-run"])["storages"].as_array().unwrap() {
        for finding in ["missing", "wrong_size", "orphans_removed", "unknown_paths", "problems"] {
            assert_eq!(storage[finding], 0, "{finding} in {storage}");
        }
    }
}
