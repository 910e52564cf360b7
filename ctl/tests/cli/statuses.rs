//! `status --exit-code`: silence while all is well, and the problems when it is not.

use serde_json::{Value, json};

use super::support::{Daemon, Run};
use super::{cache, says, status};

fn storage(name: &str, state: &str) -> Value {
    json!({
        "cache": "main", "name": name, "kind": "local", "location": "/s", "state": state, "since": null,
        "draining": false, "last_error": null, "used_bytes": 1, "reserved_bytes": 0, "free_bytes": null,
        "total_bytes": null, "max_bytes": null, "share_wanted": null, "share_actual": 0.0, "nars": 1, "damaged": 0,
    })
}

fn of(edit: impl FnOnce(&mut Value)) -> Run {
    let mut status = status();
    status["caches"] = json!([cache("main")]);
    status["storages"] = json!([storage("a", "ok"), storage("b", "ok")]);
    edit(&mut status);
    let daemon = Daemon::start(&[("GET /v1/status", says(status))]);
    daemon.run("status").succeeds();
    daemon.run("status --exit-code")
}

#[track_caller]
fn assert_problem(problem: &str, edit: impl FnOnce(&mut Value)) {
    let run = of(edit);
    assert_eq!(run.code, 9, "{problem}: {}", run.stderr);
    assert!(run.stderr.contains(problem), "{problem}: {}", run.stderr);
    assert!(run.stdout.contains("LISTENER"), "the status is shown all the same: {}", run.stdout);
}

#[test]
fn the_exit_code_says_whether_something_needs_an_operator() {
    let well = of(|_| ());
    assert_eq!((well.code, well.stderr.as_str()), (0, ""));
    let one_is_full = of(|status| status["storages"][0]["state"] = json!("full"));
    assert_eq!(one_is_full.code, 0, "the other storage takes the files");

    assert_problem("cache main is full", |status| {
        for at in 0..2 {
            status["storages"][at]["state"] = json!("full");
        }
    });
    assert_problem("storage b of cache main is failing: it hangs", |status| {
        status["storages"][1]["state"] = json!("failing");
        status["storages"][1]["last_error"] = json!("it hangs");
    });
    assert_problem("has 3 files missing or damaged", |status| status["storages"][0]["damaged"] = json!(3));
    assert_problem("the catalog cannot be written: disk full", |status| {
        status["catalog_failure"] = json!({"since": 1, "reason": "disk full"});
    });
    assert_problem("cannot listen on 127.0.0.1:80: in use", |status| {
        status["listeners"] =
            json!([{"purpose": "api", "address": "127.0.0.1:80", "cache": null, "error": "in use"}]);
    });
    assert_problem("would remove 7 paths and waits for `cachectl gc`", |status| {
        status["caches"][0]["gc_held_back"] = json!(7);
    });
}
