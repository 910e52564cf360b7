//! An import of many paths, killed again and again.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{file_url, succeeds, write_flat};
use crate::harness::{Path, Site, wait_for};

/// How often the daemon is killed.
const KILLS: u64 = 10;

/// `MOVING_PATHS=10000` for the real thing. Fewer by default, because every path has its own NAR to be verified and synced.
pub fn number_of_paths() -> u64 {
    std::env::var("MOVING_PATHS").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

fn served(site: &Site) -> u64 {
    let status: Value = serde_json::from_str(&site.cachectl_ok(&["cache", "info", "pub", "--json"])).unwrap();
    status["paths"].as_u64().unwrap()
}

#[test]
fn an_import_that_is_killed_ten_times_ends_complete() {
    let mut site = Site::start();
    let flat = site.directory().join("flat");
    let paths: Vec<Path> =
        (0..number_of_paths()).map(|number| Path::small(&format!("path-{number}"))).collect();
    write_flat(&flat, &paths);
    let source = file_url(&flat);
    let begun = Instant::now();
    // The command is lost with the first daemon; the import is not.
    let mut command = site.start_cachectl(&["import", &source, "--cache", "pub"]);
    let limit = Duration::from_secs(120);
    for kill in 1..=KILLS {
        let enough = paths.len() as u64 * kill / (KILLS + 1);
        wait_for(limit, "the import to go on", || (served(&site) >= enough).then_some(()));
        site.crash_and_restart();
    }
    assert!(!command.wait().unwrap().success());
    wait_for(limit, "the import to end", || {
        let jobs: Vec<Value> = serde_json::from_str(&site.cachectl_ok(&["job", "list", "--json"])).unwrap();
        jobs.iter().all(|job| job["state"] != "running").then_some(())
    });
    let took = begun.elapsed();
    assert_eq!(served(&site), paths.len() as u64);
    println!("{} paths in {took:.1?} with {KILLS} kills", paths.len());
    let again = succeeds(&site, &["import", &source, "--cache", "pub"]);
    assert_eq!((&again["imported"], &again["present"]), (&0.into(), &paths.len().into()));
    let reader = site.reader("pub");
    for path in paths.iter().step_by(paths.len() / 100) {
        reader.assert_has(path);
    }
    // Nothing is left of what the kills broke off.
    site.wait_for_empty_spool("pub");
    assert_eq!(site.stored_nars("pub").len(), paths.len());
}
