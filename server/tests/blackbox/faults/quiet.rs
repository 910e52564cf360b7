//! Parts of the daemon that could end without anybody noticing: they say so, and go on.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::{Path, SOON, Site, wait_for};

/// A daemon that panics once, when it reaches the step.
fn site_that_panics_at(step: &'static str) -> Site {
    Site::launched(
        |_, _| (),
        move |_| {
            let mut command = Command::new(DAEMON);
            command.env_clear().env("CACHE_SERVER_PANIC_AT", step).stdin(Stdio::null());
            command
        },
    )
}

#[test]
fn a_job_that_panics_has_failed_and_is_in_nobodys_way() {
    let site = site_that_panics_at("job-has-started");
    let path = Path::small("kept");
    site.pusher("pub").push(&path);
    let output = site.cachectl(&["storage", "scrub"]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("panicked"), "{complaint}");
    let jobs: Vec<Value> = serde_json::from_str(&site.cachectl_ok(&["job", "list", "--json"])).unwrap();
    assert_eq!(jobs.iter().filter(|job| job["state"] == "failed").count(), 1, "{jobs:?}");
    site.cachectl_ok(&["storage", "scrub"]);
    site.reader("pub").assert_has(&path);
}

#[test]
fn an_admin_socket_that_was_removed_comes_back() {
    let mut site = Site::start();
    let socket = site.directory().join("admin.sock");
    for _ in 0..2 {
        std::fs::remove_file(&socket).unwrap();
        wait_for(SOON, "cachectl is answered", || site.cachectl(&["status"]).status.success().then_some(()));
    }
    assert!(site.daemon().terminate().success());
    assert!(!socket.exists(), "an orderly end removes it");
}

/// The progress of a worker as people see it.
fn worker(site: &Site, name: &str) -> Value {
    let list: Value = serde_json::from_str(&site.cachectl_ok(&["worker", "list", "--json"])).unwrap();
    let mut workers = list["workers"].as_array().unwrap().iter();
    workers.find(|worker| worker["name"] == name).unwrap_or(&Value::Null).clone()
}

#[test]
fn damage_is_found_though_nobody_asks_for_it() {
    let site = Site::with(|config| config["server"]["scrub-interval"] = json!("2s"));
    let paths: Vec<Path> =
        (0..5).map(|number| Path::incompressible(&format!("read-{number}"), 50_000)).collect();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    let file = site.storage_dir("pub").join(paths[3].file_url());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let reader = site.reader("pub");
    wait_for(SOON, "the damaged path is hidden", || (reader.narinfo_status(&paths[3]) == 404).then_some(()));
    for number in [0, 1, 2, 4] {
        reader.assert_has(&paths[number]);
    }
    site.pusher("pub").push(&paths[3]);
    reader.assert_has(&paths[3]);
    wait_for(SOON, "its progress is shown", || {
        worker(&site, "scrub")["progress"]
            .as_str()
            .is_some_and(|progress| progress.contains("% read"))
            .then_some(())
    });
    site.edit_config(|config| config["server"]["scrub-interval"] = json!("off"));
    site.cachectl_ok(&["reload"]);
    assert_eq!(worker(&site, "scrub"), Value::Null);
}
