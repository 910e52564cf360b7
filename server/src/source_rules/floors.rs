//! Arrows between the modules of this crate point down only.

use std::fs;
use std::path::Path;

use super::sources;

/// The modules from the lowest floor to the highest. A module may use those of lower floors, and none of its own floor or of
/// a higher one.
const FLOORS: &[&[&str]] = &[
    &["chain", "counters", "request_id"],
    &["archive", "audit", "derived_key", "fail_points", "hashing", "limits", "state_dir", "systemd", "tls"],
    &["sealing"],
    &["config"],
    &["admin_socket", "auth", "clock", "server_key"],
    &["decode"],
    &["cache"],
    &["origin", "publish"],
    &["nar_store"],
    &["uploads"],
    &["ingest"],
    &["federation", "instructions"],
    &["deploy"],
    &["core"],
    &["jobs"],
    &["workers"],
    &["listeners"],
    &["reload"],
    &["doctor", "observe"],
    &["http"],
    &["app", "restore", "welcome"],
    &["lib", "main", "source_rules"],
];

fn floor(module: &str) -> usize {
    let floor = FLOORS.iter().position(|modules| modules.contains(&module));
    floor.unwrap_or_else(|| {
        panic!("`{module}` is on no floor: add it to FLOORS in src/source_rules/floors.rs")
    })
}

/// The modules that a line of code names by their path from the root of the crate.
fn named(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let mut names = Vec::new();
    for root in ["crate::", "cache_server::"] {
        for (at, _) in code.match_indices(root) {
            // `$crate` and `some_crate` are others.
            if code[..at].ends_with(|before: char| before.is_alphanumeric() || "_$:".contains(before)) {
                continue;
            }
            let rest = &code[at + root.len()..];
            let (list, is_list) = match rest.strip_prefix('{') {
                Some(list) => (list, true),
                None => (rest, false),
            };
            for item in list.split(',').take(if is_list { usize::MAX } else { 1 }) {
                let end = item.trim().find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = &item.trim()[..end.unwrap_or(item.trim().len())];
                if !name.is_empty() {
                    names.push(name);
                }
            }
        }
    }
    names
}

#[test]
fn no_module_uses_one_of_its_own_floor_or_of_a_higher_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 100, "the sources are not where they were");
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("it was found there");
        let top = inside.iter().next().expect("it has a name").to_string_lossy();
        let own = top.strip_suffix(".rs").unwrap_or(&top).to_owned();
        let text = fs::read_to_string(&file).expect("a source file can be read");
        for (number, line) in text.lines().enumerate() {
            for used in named(line).into_iter().filter(|used| *used != own) {
                if floor(used) >= floor(&own) {
                    wrong.push(format!("{}:{}: {own} uses {used}", inside.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_way_of_naming_a_module_is_seen() {
    assert_eq!(named("use crate::app::App;"), ["app"]);
    assert_eq!(named("use crate::{server_key, systemd};"), ["server_key", "systemd"]);
    assert_eq!(named("    let x = crate::http::status(cache_server::core::Core);"), ["http", "core"]);
    assert_eq!(named("use peer_network::record; // not crate::http"), Vec::<&str>::new());
}
