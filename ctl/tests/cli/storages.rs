//! Storages, and how the caches use them.

use serde_json::{Value, json};

use super::support::Daemon;
use super::{cache, says, status};

fn storage(cache: &str, name: &str) -> Value {
    json!({
        "cache": cache, "name": name, "kind": "local", "location": "/s", "state": "ok", "since": 5,
        "draining": false, "last_error": null, "used_bytes": 3 << 20, "reserved_bytes": 0, "free_bytes": null,
        "total_bytes": null, "max_bytes": null, "share_wanted": 0.25, "share_actual": 0.75, "nars": 7,
        "damaged": 0,
    })
}

fn daemon() -> Daemon {
    let mut status = status();
    status["caches"] = json!([cache("one"), cache("two")]);
    status["storages"] = json!([storage("one", "ssd"), storage("two", "hdd")]);
    Daemon::start(&[("GET /v1/status", says(status))])
}

#[test]
fn storages_are_listed_for_all_caches_or_one() {
    let daemon = daemon();
    let text = daemon.run("storage list").succeeds();
    assert!(text.contains("ssd") && text.contains("hdd") && text.contains("75 % of 25 %"), "{text}");
    let json = daemon.run("storage list --cache two --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([storage("two", "hdd")]));
}

#[test]
fn usage_is_shown_by_cache_and_by_storage_or_by_one_of_them() {
    let daemon = daemon();
    let text = daemon.run("usage").succeeds();
    assert!(text.contains("PATHS") && text.contains("FILES"), "{text}");
    let text = daemon.run("usage --by cache").succeeds();
    assert!(text.contains("PATHS") && !text.contains("FILES"), "{text}");
    let text = daemon.run("usage --by storage --cache two").succeeds();
    assert!(text.contains("hdd") && !text.contains("ssd") && !text.contains("PATHS"), "{text}");

    let json: Value = serde_json::from_str(&daemon.run("usage --cache one --json").succeeds()).unwrap();
    assert_eq!(json, json!({"caches": [cache("one")], "storages": [storage("one", "ssd")]}));
    let json: Value = serde_json::from_str(&daemon.run("usage --by cache --json").succeeds()).unwrap();
    assert_eq!(json, json!({"caches": [cache("one"), cache("two")], "storages": null}));
}

#[test]
fn a_cache_that_does_not_exist_has_no_storages() {
    for line in ["storage list --cache three", "usage --cache three"] {
        let told = daemon().run(line).fails(5);
        assert_eq!(told, "cachectl: there is no cache three (there are: one, two)\n");
    }
}
