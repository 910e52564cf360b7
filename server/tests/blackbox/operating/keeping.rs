//! Pins, and garbage collection on demand.

use serde_json::Value;

use super::{NOT_FOUND, ask, assert_consistent, fails, job, site};
use crate::harness::{Path, SOON, Site, wait_for};

fn push(site: &Site, names: &[&str]) -> Vec<Path> {
    let paths: Vec<Path> = names.iter().map(|name| Path::small(name)).collect();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    paths
}

/// Collects until this many paths are removed. A path that was pushed within the same second stays for now.
#[track_caller]
fn collect(site: &Site, arguments: &[&str], paths: u64) {
    let mut removed = 0;
    wait_for(SOON, "all of them are collected", || {
        let summary = job(site, &[&["gc", "--cache", "pub"], arguments].concat());
        removed += summary["caches"][0]["paths_removed"].as_u64().unwrap();
        (removed >= paths).then_some(())
    });
    assert_eq!(removed, paths);
}

fn pins(site: &Site) -> Vec<(String, u64, String)> {
    let pins = ask(site, &["pin", "list", "--cache", "pub"]);
    let text = |pin: &Value, field: &str| pin[field].as_str().unwrap().to_owned();
    let pins = pins.as_array().unwrap().iter();
    pins.map(|pin| (text(pin, "name"), pin["revision"].as_u64().unwrap(), text(pin, "store_path"))).collect()
}

#[test]
fn pins_keep_their_paths_for_as_long_as_they_say() {
    let site = site();
    let paths = push(&site, &["one", "two", "three", "days", "forever", "unpinned"]);
    let pin = |name: &str, path: &Path, more: &[&str]| {
        ask(&site, &[&["pin", "add", name, &path.store_path(), "--cache", "pub"], more].concat())
    };
    for path in &paths[..3] {
        assert_eq!(pin("nightly", path, &["--keep-revisions", "2"])["keep_revisions"], 2);
    }
    assert_eq!(pin("weekly", &paths[3], &["--keep-days", "7"])["keep_days"], 7);
    let forever = pin("release", &paths[4], &[]);
    assert!(forever["keep_days"].is_null() && forever["keep_revisions"].is_null(), "{forever}");
    let entry = |name: &str, revision: u64, path: &Path| (name.to_owned(), revision, path.store_path());
    let listed = [
        entry("nightly", 3, &paths[2]),
        entry("nightly", 2, &paths[1]),
        entry("release", 1, &paths[4]),
        entry("weekly", 1, &paths[3]),
    ];
    assert_eq!(pins(&site), listed);
    let text = site.cachectl_ok(&["pin", "list"]);
    assert!(text.contains("nightly") && text.contains("weekly"), "{text}");

    collect(&site, &["--older-than", "0s"], 2);
    site.cachectl_ok(&["pin", "remove", "nightly", "--cache", "pub", "--revision", "2"]);
    collect(&site, &["--older-than", "0s"], 1);
    site.cachectl_ok(&["pin", "remove", "release", "--cache", "pub"]);
    collect(&site, &["--older-than", "0s"], 1);
    assert_eq!(pins(&site), [listed[0].clone(), listed[3].clone()]);
    let reader = site.reader("pub");
    for path in [&paths[2], &paths[3]] {
        reader.assert_has(path);
    }
    assert_consistent(&site);
}

#[test]
fn an_invalid_pin_is_refused() {
    let site = site();
    let path = &push(&site, &["one"])[0];
    let both = ["pin", "add", "p", &path.hash, "--cache", "pub", "--keep-days", "1", "--keep-revisions", "1"];
    fails(&site, &both, 2);
    let told = fails(&site, &["pin", "add", "p", &Path::small("absent").hash, "--cache", "pub"], NOT_FOUND);
    assert!(told.contains("Push it first"), "{told}");
    let told = fails(&site, &["pin", "remove", "p", "--cache", "pub"], NOT_FOUND);
    assert!(told.contains("cachectl pin list"), "{told}");
    fails(&site, &["pin", "add", "p", &path.hash], 2);
}

#[test]
fn a_dry_run_reports_what_would_be_removed_and_changes_nothing() {
    let site = site();
    let paths = push(&site, &["pinned", "unwanted"]);
    site.cachectl_ok(&["pin", "add", "held", &paths[0].hash, "--cache", "pub"]);
    let files = site.stored_files("pub");
    let mut told = String::new();
    wait_for(SOON, "it is old enough", || {
        let output = site.cachectl(&["gc", "--cache", "pub", "--dry-run", "--older-than", "0s"]);
        told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        told.contains("Would remove 1 path").then_some(())
    });
    assert!(told.contains(&paths[1].base_name()) && !told.contains(&paths[0].base_name()), "{told}");
    assert_eq!(site.stored_files("pub"), files);
    site.reader("pub").assert_has(&paths[1]);
}

#[test]
fn a_cache_is_reduced_to_a_size() {
    let site = site();
    let paths: Vec<Path> =
        (0..4).map(|number| Path::incompressible(&format!("large-{number}"), 100_000)).collect();
    let pusher = site.pusher("pub");
    paths.iter().for_each(|path| pusher.push(path));
    collect(&site, &["--to-size", "250kB"], 2);
    let usage = ask(&site, &["usage", "--cache", "pub", "--by", "cache"]);
    assert_eq!(usage["caches"][0]["paths"], 2);
    assert!(usage["caches"][0]["file_bytes"].as_u64().unwrap() <= 250_000, "{usage}");
    assert_consistent(&site);
}
