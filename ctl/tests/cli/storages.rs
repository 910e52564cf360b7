//! Storages, and how the caches use them.

use serde_json::{Value, json};

use super::paths::row;
use super::support::Daemon;
use super::{cache, says, status};

pub fn storage(cache: &str, name: &str) -> Value {
    json!({
        "cache": cache, "name": name, "kind": "local", "location": "/s", "state": "ok", "since": 5,
        "draining": false, "last_error": null, "used_bytes": 3 << 20, "by_product_bytes": 0, "upload_bytes": 0, "trash_bytes": 0, "reserved_bytes": 0, "free_bytes": null,
        "total_bytes": null, "max_bytes": null, "share_wanted": 0.25, "share_actual": 0.75, "nars": 7,
        "damaged": 0,
    })
}

fn two_caches() -> Value {
    let mut status = status();
    status["caches"] = json!([cache("one"), cache("two")]);
    status["storages"] = json!([storage("one", "ssd"), storage("two", "hdd")]);
    status
}

fn daemon() -> Daemon {
    Daemon::start(&[("GET /v1/status", says(two_caches()))])
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
    let expected = json!({
        "caches": [cache("one")], "storages": [storage("one", "ssd")], "by_age": null, "largest": null,
    });
    assert_eq!(json, expected);
    let json: Value = serde_json::from_str(&daemon.run("usage --by cache --json").succeeds()).unwrap();
    let expected = json!({
        "caches": [cache("one"), cache("two")], "storages": null, "by_age": null, "largest": null,
    });
    assert_eq!(json, expected);
    assert!(daemon.requests().iter().all(|request| request == "GET /v1/status"), "{:?}", daemon.requests());
}

#[test]
fn a_cache_that_does_not_exist_has_no_storages() {
    for line in ["storage list --cache three", "usage --cache three"] {
        let told = daemon().run(line).fails(5);
        assert_eq!(
            told,
            "cachectl: there is no cache called `three`\n`cachectl cache list` shows the caches.\n"
        );
    }
}

#[test]
fn usage_by_age_and_the_largest_paths_are_requested_only_if_wanted() {
    let bucket = json!({"label": "last day", "from_days": 0, "to_days": 1, "paths": 5, "bytes": 3 << 20});
    let reply = json!({"storages": [], "caches": [], "by_age": [bucket], "largest": [row("hello")]});
    let daemon = Daemon::start(&[("GET /v1/status", says(two_caches())), ("GET /v1/usage", says(reply))]);
    let text = daemon.run("usage --by age").succeeds();
    assert!(text.contains("last day") && text.contains("3.00 MiB") && !text.contains("hello"), "{text}");
    let text = daemon.run("usage --top 3 --cache one").succeeds();
    assert!(text.contains("ssd") && text.contains("hello") && !text.contains("last day"), "{text}");
    let json: Value = serde_json::from_str(&daemon.run("usage --by age --top 1 --json").succeeds()).unwrap();
    assert_eq!(
        json,
        json!({"caches": null, "storages": null, "by_age": [bucket], "largest": [row("hello")]})
    );

    let asked: Vec<_> = daemon.requests().into_iter().filter(|request| request.contains("usage")).collect();
    assert_eq!(
        asked,
        ["GET /v1/usage?by=age", "GET /v1/usage?cache=one&top=3", "GET /v1/usage?by=age&top=1"]
    );
}

#[test]
fn what_lies_on_the_disks_is_counted_only_if_wanted() {
    let physical = json!({
        "storages": [{
            "name": "ssd", "location": "/s", "caches": ["one", "two"], "files": 14, "file_bytes": 6 << 20,
            "physical_bytes": 3 << 20, "error": null,
        }],
        "file_bytes": 6 << 20, "physical_bytes": 3 << 20,
    });
    let reply = json!({"storages": [], "caches": [], "by_age": [], "largest": [], "physical": physical});
    let daemon = Daemon::start(&[("GET /v1/status", says(two_caches())), ("GET /v1/usage", says(reply))]);
    let text = daemon.run("usage --physical").succeeds();
    assert!(text.contains("one, two") && text.contains("6.00 MiB") && text.contains("3.00 MiB"), "{text}");
    assert!(!text.contains("SHARE"), "{text}");
    let json: Value =
        serde_json::from_str(&daemon.run("usage --physical --cache one --json").succeeds()).unwrap();
    assert_eq!((&json["physical"], &json["caches"]), (&physical, &Value::Null));
    let text = daemon.run("usage --physical --by cache").succeeds();
    assert!(text.contains("SHARE") && text.contains("PHYSICAL"), "{text}");
    let asked: Vec<_> = daemon.requests().into_iter().filter(|request| request.contains("usage")).collect();
    let expected = ["", "cache=one&", "by=cache&"].map(|more| format!("GET /v1/usage?{more}physical=true"));
    assert_eq!(asked, expected);
}
