//! Background workers, and the reload of the config.

use serde_json::{Value, json};

use super::support::{Answer, Daemon};
use super::{refuses, says};

pub fn worker(state: &str) -> Value {
    json!({
        "name": "gc", "state": state, "does": "removes what nothing keeps", "last_run": null,
        "next_run": 32_503_680_000_u64, "last_error": "no answer", "errors_in_a_row": 2, "progress": null,
    })
}

pub fn job(id: &str, state: &str) -> Value {
    json!({
        "id": id, "kind": "scrub", "subject": "main", "started_at": 5, "finished_at": null, "state": state,
        "done": 0, "total": null, "unit": "bytes", "last_error": null, "summary": null,
    })
}

#[test]
fn workers_are_listed_with_the_jobs_that_run() {
    let daemon = Daemon::start(&[
        ("GET /v1/workers", says(json!([worker("failing")]))),
        ("GET /v1/jobs", says(json!([job("7", "running"), job("6", "done")]))),
    ]);
    let text = daemon.run("worker list").succeeds();
    assert!(text.contains("removes what nothing keeps") && text.contains("scrub of main"), "{text}");
    assert!(text.contains("gc: 2 failed runs in a row; last error: no answer\n"), "{text}");
    assert!(!text.contains("done"), "{text}");
    let json: Value = serde_json::from_str(&daemon.run("worker list --json").succeeds()).unwrap();
    assert_eq!(json, json!({"workers": [worker("failing")], "jobs": [job("7", "running")]}));
}

#[test]
fn a_worker_is_paused_and_resumed() {
    let daemon = Daemon::start(&[
        ("GET /v1/workers", says(json!([worker("waiting")]))),
        ("POST /v1/workers/gc/pause", says(worker("paused"))),
        ("POST /v1/workers/gc/resume", says(worker("waiting"))),
        ("POST /v1/workers/scrub/pause", says(worker("working"))),
    ]);
    let text = daemon.run("worker pause gc").succeeds();
    assert_eq!(text, "Paused gc. Resume it with `cachectl worker resume gc`.\n");
    let text = daemon.run("worker resume gc").succeeds();
    assert!(text.starts_with("Resumed gc; its next run is in "), "{text}");
    let text = daemon.run("worker pause scrub").succeeds();
    assert_eq!(text, "gc finishes its current run and then pauses.\n");
    daemon.run("worker pause nobody").fails(5);
}

#[test]
fn a_reload_lists_what_changed() {
    let reply = json!({"changes": ["the cache new is there"], "needs_restart": ["server-port"]});
    let daemon = Daemon::start(&[("POST /v1/reload", says(reply.clone()))]);
    let text = daemon.run("reload").succeeds();
    assert_eq!(text, "Changed:\n  the cache new is there\nNeeds a restart:\n  server-port\n");
    let json = daemon.run("reload --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), reply);
}

#[test]
fn a_reload_shows_the_warnings_about_the_config() {
    let warning = "config.yaml:9: warning: server.key: is empty";
    let reply = json!({"changes": [], "needs_restart": [], "warnings": [warning]});
    let daemon = Daemon::start(&[("POST /v1/reload", says(reply.clone()))]);
    let run = daemon.run("reload");
    let expected = format!("{warning}\n");
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("Nothing changed.\n", expected.as_str()));
    let json = daemon.run("reload --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), reply);
}

#[test]
fn every_fault_of_a_config_has_a_line() {
    let message = "config.yaml:3: unknown key `prot`\nconfig.yaml:9: no storages\u{1b}[2J";
    let error = json!({"code": "invalid", "message": message, "hint": "mend them"});
    let daemon = Daemon::start(&[("POST /v1/reload", Answer::Says(400, error.to_string()))]);
    assert_eq!(
        daemon.run("reload").fails(6),
        "cachectl: the config has faults, so nothing was changed:\n  config.yaml:3: unknown key `prot`\n  \
         config.yaml:9: no storages\\u{1b}[2J\nMend them.\n"
    );
    Daemon::start(&[("POST /v1/reload", refuses(503, "unavailable"))]).run("reload").fails(1);
}
