//! Clocks that are wrong: nothing is collected by them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, path, thread};

use serde_json::json;

use crate::harness::daemon::DAEMON;
use crate::harness::{Path, SOON, Site, wait_for};

/// For so long nothing may go, with a collection each second.
const A_WHILE: Duration = Duration::from_secs(5);

/// A daemon that collects what was not used for a week, each second, on a clock that [`set_clock`] sets.
fn site() -> Site {
    site_keeping(7)
}

/// The same for what was not used for so many days.
fn site_keeping(days: u32) -> Site {
    site_with(days, |_| {})
}

/// The same, with more changes to the config.
pub fn site_with(days: u32, edit: impl Fn(&mut serde_json::Value)) -> Site {
    let library = library();
    Site::launched(
        move |config, directory| {
            edit(config);
            fs::write(directory.join("clock"), "+0\n").unwrap();
            config["server"]["gc-interval"] = json!("1s");
            config["server"]["gc-grace"] = json!("0s");
            config["server"]["default-retention"] = json!(days);
        },
        move |directory| {
            let mut command = Command::new(DAEMON);
            command
                .env_clear()
                .env("LD_PRELOAD", &library)
                .env("FAKETIME_TIMESTAMP_FILE", directory.join("clock"))
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("DONT_FAKE_MONOTONIC", "1")
                .stdin(Stdio::null());
            command
        },
    )
}

/// The library that moves the clock.
fn library() -> PathBuf {
    let found = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let name = path::Path::new("faketime/libfaketimeMT.so.1");
    let places =
        found.map(|directory| directory.join(name)).chain(["/usr/lib/faketime/libfaketimeMT.so.1".into()]);
    places
        .into_iter()
        .find(|file| file.exists())
        .expect("libfaketime is missing: install the Debian package faketime")
}

/// Moves the clock of the daemon against the real one: `+400d`, `-10d`, `+0`.
pub fn set_clock(site: &Site, offset: &str) {
    let new = site.directory().join("clock.new");
    fs::write(&new, format!("{offset}\n")).unwrap();
    fs::rename(new, site.directory().join("clock")).unwrap();
}

/// For a while nothing of these paths goes. Does not read them, as that would count as a use.
#[track_caller]
fn stay(site: &Site, paths: &[&Path]) {
    stay_for(A_WHILE, site, paths);
}

#[track_caller]
fn stay_for(length: Duration, site: &Site, paths: &[&Path]) {
    let begun = Instant::now();
    while begun.elapsed() < length {
        for path in paths {
            assert!(is_stored(site, path), "{} is gone", path.name);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn is_stored(site: &Site, path: &Path) -> bool {
    site.storage_dir("pub").join(format!("{}.narinfo", path.hash)).exists()
}

#[track_caller]
fn assert_doubtful(site: &Site, expected: &str) {
    let findings: Vec<serde_json::Value> =
        serde_json::from_slice(&site.cachectl(&["doctor", "--json"]).stdout).unwrap();
    let clock = findings.iter().find(|finding| finding["subject"] == "clock").unwrap();
    assert_eq!(clock["level"], "error", "{clock}");
    assert!(clock["message"].as_str().unwrap().contains(expected), "{clock}");
    assert!(clock["advice"].as_str().unwrap().contains("--accept-clock"), "{clock}");
    let output = site.cachectl(&["gc"]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("--accept-clock"), "{complaint}");
}

fn pushed(site: &Site, name: &str) -> Path {
    let path = Path::small(name);
    site.pusher("pub").push(&path);
    path
}

#[test]
fn a_clock_that_jumps_ahead_collects_nothing() {
    let site = site();
    let before = pushed(&site, "before");
    set_clock(&site, "+400d");
    stay(&site, &[&before]);
    assert_doubtful(&site, "ahead");
    let during = pushed(&site, "during");
    set_clock(&site, "+0");
    stay(&site, &[&before, &during]);
    site.cachectl_ok(&["gc"]);
    site.reader("pub").assert_has(&before);
    site.reader("pub").assert_has(&during);
}

#[test]
fn a_start_long_after_the_last_time_seen_collects_nothing_until_somebody_has_looked() {
    for offset in ["+400d", "+8d"] {
        let mut site = site();
        let before = pushed(&site, "before");
        assert!(site.daemon().terminate().success());
        set_clock(&site, offset);
        site.restart();
        let during = pushed(&site, "during");
        stay(&site, &[&before, &during]);
        assert_doubtful(&site, "ahead");
        // It survives another start, and a kill.
        site.crash_and_restart();
        stay(&site, &[&before, &during]);
        site.cachectl_ok(&["gc", "--accept-clock"]);
        wait_for(SOON, "the old path goes", || (!is_stored(&site, &before)).then_some(()));
        stay(&site, &[&during]);
    }
}

#[test]
fn what_is_pushed_while_the_clock_is_behind_stays_when_it_is_right_again() {
    // Once the clock is behind at the start, once it falls behind while the daemon runs.
    for restarts in [true, false] {
        let mut site = site();
        let before = pushed(&site, "before");
        set_clock(&site, "-10d");
        if restarts {
            assert!(site.daemon().terminate().success());
            site.restart();
        }
        let during = pushed(&site, "during");
        assert_eq!(site.pusher("pub").missing(&[&before.hash]), Vec::<String>::new());
        assert_doubtful(&site, "behind");
        set_clock(&site, "+0");
        stay(&site, &[&before, &during]);
        site.crash_and_restart();
        stay(&site, &[&before, &during]);
        site.cachectl_ok(&["gc"]);
        site.reader("pub").assert_has(&before);
        site.reader("pub").assert_has(&during);
    }
}

/// A jump of each kind, with pushes before, during and after: nothing goes, and nothing that is pushed is older than it is.
fn jumps(restarts: bool) {
    const A_ROUND: Duration = Duration::from_millis(2500);
    let mut site = site();
    let mut paths = vec![pushed(&site, "before")];
    for offset in ["+1h", "-1h", "+1d", "-1d", "+400d", "-400d"] {
        for offset in [offset, "+0"] {
            if restarts {
                assert!(site.daemon().terminate().success());
            }
            set_clock(&site, offset);
            if restarts {
                site.restart();
            }
            paths.push(pushed(&site, &format!("during{offset}")));
            stay_for(A_ROUND, &site, &paths.iter().collect::<Vec<_>>());
        }
    }
    // A clock that is a day ahead at a start is believed, and so one that is right again is a day behind. A collection that the
    // daemon runs at the moment may be in the way.
    let accepted = || site.cachectl(&["gc", "--accept-clock"]).status.success().then_some(());
    wait_for(SOON, "the clock is accepted", accepted);
    for path in &paths {
        site.reader("pub").assert_has(path);
    }
}

#[test]
fn no_jump_of_the_clock_while_it_runs_costs_a_path() {
    jumps(false);
}

#[test]
fn no_jump_of_the_clock_between_two_runs_costs_a_path() {
    jumps(true);
}

#[test]
fn a_token_that_has_expired_stays_so_when_the_clock_is_set_back() {
    let mut site = site();
    let token = site.create_token(&["--cache", "priv", "--permission", "read", "--expires", "3s"]);
    let status = |site: &Site| site.api().get("/api/v1/cache/priv").bearer(&token).send().status;
    assert_eq!(status(&site), 200);
    wait_for(SOON, "the token expires", || (status(&site) == 401).then_some(()));
    // Times have whole seconds, so it may seem to be a second earlier.
    thread::sleep(Duration::from_secs(2));
    for offset in ["-1h", "-400d"] {
        set_clock(&site, offset);
        assert_eq!(status(&site), 401, "{offset}");
        assert!(site.daemon().terminate().success());
        site.restart();
        assert_eq!(status(&site), 401, "{offset}, after a restart");
        site.crash_and_restart();
        assert_eq!(status(&site), 401, "{offset}, after a kill");
    }
}

/// A weekend is no reason for doubt, but it may be one for caution.
#[test]
fn a_collection_that_nobody_asked_for_removes_no_more_than_half_of_a_cache() {
    let mut site = site_keeping(1);
    let old = ["one", "two", "three"].map(|name| pushed(&site, name));
    let pinned = pushed(&site, "pinned");
    site.cachectl_ok(&["pin", "add", "keep", &pinned.hash, "--cache", "pub"]);
    assert!(site.daemon().terminate().success());
    set_clock(&site, "+2d");
    site.restart();
    let held = |site: &Site| {
        let status = site.cachectl_ok(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let caches = status["caches"].as_array().unwrap();
        caches.iter().find(|cache| cache["name"] == "pub").unwrap()["gc_held_back"].clone()
    };
    wait_for(SOON, "it is held back", || (held(&site) == 3).then_some(()));
    stay(&site, &[&old[0], &old[1], &old[2], &pinned]);
    assert!(site.cachectl_ok(&["status"]).contains("3 paths not collected"));
    let findings = site.cachectl(&["doctor"]);
    let findings = String::from_utf8_lossy(&findings.stdout).into_owned();
    assert!(findings.contains("3 of 4 paths") && findings.contains("cachectl gc --cache pub"), "{findings}");
    assert!(site.daemon().log().contains("nothing was collected"));

    // One that the daemon runs at the moment may be in the way.
    let collected = || site.cachectl(&["gc", "--cache", "pub"]).status.success().then_some(());
    wait_for(SOON, "an operator collects them", collected);
    assert!(!old.iter().any(|path| is_stored(&site, path)));
    site.reader("pub").assert_has(&pinned);
    assert_eq!(held(&site), 0);
    let log = site.daemon().log();
    let line =
        log.lines().find(|line| line.contains("collected garbage") && line.contains("paths=3")).unwrap();
    assert!(line.contains("an operator asked for it") && line.contains("bytes_freed="), "{line}");
}
