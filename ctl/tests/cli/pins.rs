//! Pins: created, listed and removed in the right cache.

use serde_json::{Value, json};

use super::support::Daemon;
use super::{HASH, cache, refuses, says};

fn pin(revision: u64, keep_days: Option<u32>) -> Value {
    json!({
        "cache": "main", "name": "release", "revision": revision, "store_path": format!("/nix/store/{HASH}-hello"),
        "keep_days": keep_days, "keep_revisions": null, "created_at": 1, "artifacts": [],
    })
}

#[test]
fn a_path_is_pinned_with_every_option() {
    let daemon = Daemon::start(&[("POST /v1/pins", says(pin(3, Some(30))))]);
    let line = format!("pin add release /nix/store/{HASH}-hello/bin --cache main --keep-days 30");
    assert_eq!(
        daemon.run(&line).succeeds(),
        format!("Pinned /nix/store/{HASH}-hello in main as release, revision 3, for 30 days.\n")
    );
    let path = format!("{HASH}-hello");
    let expected =
        json!({"cache": "main", "name": "release", "path": path, "keep_days": 30, "keep_revisions": null});
    assert_eq!(daemon.last_body(), expected);

    let json = daemon.run(&format!("pin add r {HASH} --cache main --keep-revisions 7 --json")).succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), pin(3, Some(30)));
    let expected =
        json!({"cache": "main", "name": "r", "path": HASH, "keep_days": null, "keep_revisions": 7});
    assert_eq!(daemon.last_body(), expected);
}

#[test]
fn pins_are_listed_for_all_caches_or_one() {
    let daemon = Daemon::start(&[("GET /v1/pins", says(json!([pin(2, None), pin(1, Some(1))])))]);
    let text = daemon.run("pin list").succeeds();
    assert!(text.contains("forever") && text.contains("expired"), "{text}");
    let json = daemon.run("pin list --cache main --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([pin(2, None), pin(1, Some(1))]));
    assert_eq!(daemon.requests(), ["GET /v1/pins", "GET /v1/pins?cache=main"]);
}

#[test]
fn a_pin_is_removed_as_a_whole_or_by_revision() {
    let daemon = Daemon::start(&[("POST /v1/pins/remove", says(json!({"removed": 3})))]);
    let text = daemon.run("pin remove release --cache main").succeeds();
    assert_eq!(text, "Removed 3 revisions of the pin release from main.\n");
    assert_eq!(daemon.last_body(), json!({"cache": "main", "name": "release", "revision": null}));
    daemon.run("pin remove release --cache main --revision 2").succeeds();
    assert_eq!(daemon.last_body(), json!({"cache": "main", "name": "release", "revision": 2}));
}

#[test]
fn only_one_of_several_caches_has_to_be_named() {
    let removed = ("POST /v1/pins/remove", says(json!({"removed": 1})));
    let daemon = Daemon::start(&[("GET /v1/caches", says(json!([cache("one")]))), removed.clone()]);
    daemon.run("pin remove release").succeeds();
    assert_eq!(daemon.last_body()["cache"], "one");

    let daemon = Daemon::start(&[("GET /v1/caches", says(json!([cache("one"), cache("two")]))), removed]);
    let told = daemon.run("pin remove release").fails(2);
    assert_eq!(told, "cachectl: there are several caches: one, two\nPass --cache NAME to choose one.\n");
    assert_eq!(daemon.requests(), ["GET /v1/caches"]);

    let told = Daemon::start(&[("GET /v1/caches", says(json!([])))]).run("pin remove release").fails(5);
    assert_eq!(told, "cachectl: there are no caches\n");
}

#[test]
fn a_daemon_without_pins_is_distinguished_from_one_without_the_pin() {
    for (line, lacks) in [
        ("pin list", "GET /v1/pins"),
        ("pin remove r --cache main", "POST /v1/pins/remove"),
        ("worker pause gc", "POST /v1/workers/{worker}/pause"),
        ("reload", "POST /v1/reload"),
    ] {
        let told = Daemon::start(&[]).run(line).fails(7);
        let expected =
            format!("cachectl: the daemon is older than this cachectl and does not support {lacks}\n");
        assert!(told.starts_with(&expected), "{line}: {told}");
    }
    let daemon = Daemon::start(&[
        ("GET /v1/workers", says(json!([]))),
        ("POST /v1/pins/remove", refuses(404, "not-found")),
    ]);
    let told = daemon.run("pin remove r --cache main").fails(5);
    assert_eq!(told, "cachectl: that went wrong\nDo this.\n");
}
