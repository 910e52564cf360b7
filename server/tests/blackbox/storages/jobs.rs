//! Long jobs as `cachectl` runs them: joined, listed, stopped, and told about in lines for programs.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{local, paths, site};
use crate::harness::{SOON, Site, wait_for};

/// The events that `cachectl --json` printed.
#[track_caller]
fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// The last of them, which tells how the job ended.
#[track_caller]
pub fn last_event(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    events(output).pop().unwrap_or_else(|| panic!("no event; {complaint}"))
}

/// A daemon with enough to read for a job that takes its time if it is told to.
fn stocked() -> Site {
    let site = site("in-order", |directory| vec![local(directory, "disk"), local(directory, "other")]);
    paths([300_000; 6]).iter().for_each(|path| site.pusher("pub").push(path));
    site
}

/// Somebody who watches a job.
struct Watcher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watcher {
    /// Starts or joins a scrub of six files in half a minute.
    fn of_slow_scrub(site: &Site) -> Self {
        let arguments = ["storage", "scrub", "disk", "--rate", "60kB", "--json"];
        let mut child = site.start_cachectl(&arguments);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for the next event; none at the end.
    fn next_event(&mut self) -> Option<Value> {
        self.lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// Waits for the end. Returns the exit code and the events until then.
    fn finish(mut self) -> (Option<i32>, Vec<Value>) {
        let events = std::iter::from_fn(|| self.next_event()).collect();
        (self.child.wait().unwrap().code(), events)
    }
}

/// The jobs, the latest last.
fn list(site: &Site) -> Vec<Value> {
    serde_json::from_str(&site.cachectl_ok(&["job", "list", "--json"])).unwrap()
}

/// Waits until a job runs that has read something, and returns its id.
fn wait_until_under_way(site: &Site) -> String {
    wait_for(SOON, "a job is under way", || {
        let job = list(site).pop().filter(|job| job["state"] == "running" && job["done"] != 0)?;
        Some(job["id"].as_str().unwrap().to_owned())
    })
}

#[test]
fn a_job_is_joined_listed_and_stopped() {
    let site = stocked();
    let mut first = Watcher::of_slow_scrub(&site);
    let started = first.next_event().unwrap();
    assert_eq!((&started["event"], &started["joined"]), (&"started".into(), &false.into()), "{started}");
    let id = wait_until_under_way(&site);
    let mut second = Watcher::of_slow_scrub(&site);
    let started = second.next_event().unwrap();
    assert_eq!((&started["event"], &started["joined"]), (&"started".into(), &true.into()), "{started}");
    assert_eq!(started["job"]["id"], id, "{started}");
    assert_eq!(list(&site).len(), 1);
    let running = list(&site).pop().unwrap();
    assert_eq!((&running["kind"], &running["subject"]), (&"scrub".into(), &"pub/disk".into()));
    assert_eq!(running["total"], 6 * paths([300_000])[0].file.len(), "{running}");
    // Another part of the work may go on beside it.
    site.cachectl_ok(&["fsck"]);
    let in_the_way = site.cachectl(&["storage", "scrub"]);
    assert_eq!(in_the_way.status.code(), Some(6), "{}", String::from_utf8_lossy(&in_the_way.stderr));
    assert!(String::from_utf8_lossy(&in_the_way.stderr).contains(&format!("job stop {id}")));

    let begun = Instant::now();
    let stopped: Value = serde_json::from_str(&site.cachectl_ok(&["job", "stop", &id, "--json"])).unwrap();
    assert_eq!(stopped["state"], "stopped", "{stopped}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for watcher in [first, second] {
        let (code, events) = watcher.finish();
        assert_eq!(code, Some(8), "{events:?}");
        let end = events.last().unwrap();
        assert_eq!((&end["event"], &end["cause"]), (&"stopped".into(), &"request".into()), "{end}");
        assert!(events.iter().any(|event| event["event"] == "progress"));
    }

    // It goes on where it was, and is through with what was read before.
    let output = site.cachectl(&["storage", "scrub", "disk", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let end = last_event(&output);
    assert_eq!((&end["summary"]["files"], &end["summary"]["damaged"]), (&6.into(), &0.into()), "{end}");
    let notes = events(&output);
    assert!(notes.iter().any(|event| event["text"].as_str().is_some_and(|text| text.contains("going on"))));
    let states: Vec<Value> = list(&site).iter().map(|job| job["state"].clone()).collect();
    assert_eq!(states, ["done", "done", "stopped"], "the newest is first");
}

#[test]
fn the_daemon_ends_at_once_while_a_job_runs() {
    let mut site = stocked();
    let follower = site.start_cachectl(&["storage", "scrub", "--rate", "1kB", "--json"]);
    wait_for(SOON, "the job runs", || list(&site).pop().filter(|job| job["state"] == "running"));
    let begun = Instant::now();
    assert!(site.daemon().terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let output = follower.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    let end = last_event(&output);
    assert_eq!((&end["event"], &end["cause"]), (&"stopped".into(), &"shutdown".into()), "{end}");
    site.restart();
    assert_eq!(list(&site)[0]["state"], "stopped");
    site.cachectl_ok(&["storage", "scrub"]);
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let site = site("in-order", |directory| vec![local(directory, "disk")]);
    for (arguments, name) in [
        (["storage", "drain", "attic"].as_slice(), "attic"),
        (&["storage", "scrub", "attic"], "attic"),
        (&["storage", "rebalance", "--cache", "nobody"], "nobody"),
        (&["fsck", "--cache", "nobody"], "nobody"),
        (&["job", "stop", "4711"], "4711"),
    ] {
        let output = site.cachectl(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{arguments:?}: {complaint}");
        assert!(complaint.contains(name), "{arguments:?}: {complaint}");
    }
    assert!(list(&site).is_empty());
}
