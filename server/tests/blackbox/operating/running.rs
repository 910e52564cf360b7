//! The state of the daemon: usage, workers, the doctor.

use std::fs;

use serde_json::{Value, json};

use super::{NOT_FOUND, ask, fails, site};
use crate::harness::{Path, Site};

#[test]
fn usage_is_shown_by_storage_by_cache_and_by_age() {
    let site = site();
    let sizes = [300_000, 200_000, 100_000];
    let paths: Vec<Path> =
        sizes.iter().map(|&size| Path::incompressible(&format!("size-{size}"), size)).collect();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    site.pusher("priv").push(&Path::small("other"));
    let stored: usize = paths.iter().map(|path| path.file.len()).sum();
    let of_pub = |arguments: &[&str]| ask(&site, &[&["usage", "--cache", "pub"], arguments].concat());

    let usage = of_pub(&["--by", "storage", "--top", "2"]);
    assert_eq!(usage["storages"].as_array().unwrap().len(), 1);
    assert_eq!(usage["storages"][0]["used_bytes"], stored);
    assert!(usage["caches"][0].is_null(), "{usage}");
    let largest: Vec<&str> = usage["largest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path["store_path"].as_str().unwrap())
        .collect();
    assert_eq!(largest, [paths[0].store_path(), paths[1].store_path()]);

    let usage = of_pub(&["--by", "cache"]);
    assert_eq!(
        (&usage["caches"][0]["paths"], &usage["caches"][0]["file_bytes"]),
        (&json!(3), &json!(stored))
    );
    assert!(usage["largest"][0].is_null(), "{usage}");

    let usage = of_pub(&["--by", "age"]);
    let ages = usage["by_age"].as_array().unwrap();
    assert_eq!((&ages[0]["paths"], &ages[0]["bytes"]), (&json!(3), &json!(stored)), "all of it is new");
    assert!(ages[1..].iter().all(|age| age["paths"] == 0), "{ages:?}");

    let everything = ask(&site, &["usage"]);
    assert_eq!(everything["caches"].as_array().unwrap().len(), 4);
    let text = site.cachectl_ok(&["usage", "--top", "1"]);
    assert!(text.contains("my-cache-2") && text.contains("size-300000"), "{text}");
    fails(&site, &["usage", "--cache", "nope"], NOT_FOUND);
}

#[test]
fn workers_are_listed_paused_and_resumed() {
    let site = Site::start();
    let state = |name: &str| -> Value {
        let list = ask(&site, &["worker", "list"]);
        let workers = list["workers"].as_array().unwrap().clone();
        let found = workers.into_iter().find(|worker| worker["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {list}"))["state"].clone()
    };
    for worker in ["gc", "publisher"] {
        assert_ne!(state(worker), "failing", "{worker}");
    }
    assert_eq!(ask(&site, &["worker", "pause", "gc"])["state"], "paused");
    assert_eq!(state("gc"), "paused");
    assert!(site.cachectl_ok(&["worker", "list"]).contains("paused"));
    assert_ne!(ask(&site, &["worker", "resume", "gc"])["state"], "paused");
    assert_ne!(state("gc"), "paused");
    let told = fails(&site, &["worker", "pause", "nope"], NOT_FOUND);
    assert!(told.contains("cachectl worker list"), "{told}");
}

/// The findings of the doctor, and its exit code.
fn findings(site: &Site) -> (Vec<Value>, Option<i32>) {
    let output = site.cachectl(&["doctor", "--json"]);
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

#[test]
fn the_doctor_reports_each_finding_once_with_advice() {
    let site = Site::with(|config| config["server"]["public-url"] = Value::Null);
    let (found, code) = findings(&site);
    assert_eq!(code, Some(0), "{found:?}");
    let mut subjects: Vec<&str> = found.iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    for subject in ["daemon", "config", "state directory", "clock", "storage pub/disk", "admin socket"] {
        assert!(subjects.contains(&subject), "{subject} is not in {subjects:?}");
    }
    let all = subjects.len();
    subjects.sort_unstable();
    subjects.dedup();
    assert_eq!(subjects.len(), all, "{found:?}");

    let file = site.directory().join("config.yaml");
    fs::write(&file, "{server: {hostnam: x}}").unwrap();
    let (found, code) = findings(&site);
    assert_eq!(code, Some(9), "{found:?}");
    let fault = found.iter().find(|finding| finding["level"] == "error").unwrap();
    assert_eq!(fault["subject"], "config");
    assert!(fault["message"].as_str().unwrap().contains("hostnam"), "{fault}");
    assert!(fault["advice"].is_string());
    fs::remove_file(&file).unwrap();
    let (found, code) = findings(&site);
    assert_eq!(code, Some(9), "{found:?}");
}
