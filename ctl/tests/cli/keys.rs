//! Signing keys: listed, added without ever being shown, retired.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::support::{Daemon, cachectl};
use super::{cache, says};

const SECRET: &str = "main-2:c2VjcmV0";

fn key(name: &str, public_key: &str, retired_at: Option<i64>) -> Value {
    json!({
        "name": name, "public_key": public_key, "origin": "generated", "created_at": 1, "retired_at": retired_at,
    })
}

fn info(name: &str, keys: Value) -> Value {
    let mut info = cache(name);
    let details = json!({
        "priority": 30, "compression": "zstd", "retention_days": null, "max_bytes": null, "collects_when_full": false, "port": null, "storages": [],
        "keys": keys, "upstreams": [], "setup": [],
    });
    info.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
    info
}

fn daemon() -> Daemon {
    let keys = json!([
        key("main-1", "main-1:AAA=", None),
        key("main-0", "main-0:BBB=", Some(5)),
        key("twin", "twin:CCC=", None),
        key("twin", "twin:DDD=", None),
    ]);
    Daemon::start(&[
        ("GET /v1/caches", says(json!([cache("main")]))),
        ("GET /v1/caches/main", says(info("main", keys))),
        ("POST /v1/caches/main/keys", says(key("main-2", "main-2:EEE=", None))),
        ("POST /v1/caches/main/keys/retire", says(key("main-1", "main-1:AAA=", Some(9)))),
    ])
}

#[test]
fn keys_are_listed_with_their_caches() {
    let daemon = daemon();
    let text = daemon.run("key list").succeeds();
    assert!(text.contains("main-1:AAA=") && text.contains("retired"), "{text}");
    let json: Value = serde_json::from_str(&daemon.run("key list --cache main --json").succeeds()).unwrap();
    let mut expected = key("main-0", "main-0:BBB=", Some(5));
    expected["cache"] = json!("main");
    assert_eq!(json[1], expected);
    daemon.run("key list --cache other").fails(5);
}

#[test]
fn a_key_is_made_by_the_daemon_unless_one_is_given() {
    let daemon = daemon();
    let text = daemon.run("key add").succeeds();
    let expected =
        "Added the key main-2 to main. Add it to the trusted-public-keys of the clients:\n  main-2:EEE=\n";
    assert_eq!(text, expected);
    assert_eq!(daemon.last_body(), json!({"secret_key": null}));

    let file = daemon.dir.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    assert_eq!(daemon.run(&format!("key add --cache main --file {}", file.display())).succeeds(), expected);
    assert_eq!(daemon.last_body(), json!({"secret_key": SECRET}));
}

#[test]
fn a_key_can_come_from_standard_input() {
    let daemon = daemon();
    let mut command = cachectl();
    command.args(["key", "add", "--cache", "main", "--file", "-", "--socket"]).arg(&daemon.socket);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(daemon.last_body(), json!({"secret_key": SECRET}));
}

#[test]
fn text_that_is_not_a_key_is_neither_sent_nor_shown() {
    let daemon = daemon();
    let file = daemon.dir.path().join("secret");
    let line = format!("key add --cache main --file {}", file.display());
    assert!(daemon.run(&line).fails(1).contains("cannot read a signing key from"));
    for text in ["", "c2VjcmV0", ":c2VjcmV0", "main-2:", "main-2:c2VjcmV0 main-3:c2VjcmV0"] {
        fs::write(&file, text).unwrap();
        let told = daemon.run(&line).fails(1);
        assert!(told.contains("exactly one NAME:BASE64") && !told.contains("c2VjcmV0"), "{text}: {told}");
    }
    assert!(daemon.seen().is_empty());
}

#[test]
fn a_key_is_retired_by_its_name_or_its_public_half() {
    let daemon = daemon();
    for named in ["main-1", "main-1:AAA="] {
        let text = daemon.run(&format!("key retire {named} --cache main")).succeeds();
        assert_eq!(text, "Retired the key main-1 of main. Its signatures stay valid.\n");
        assert_eq!(daemon.last_body(), json!({"public_key": "main-1:AAA="}));
    }
    daemon.run("key retire twin:DDD=").succeeds();
    assert_eq!(daemon.last_body(), json!({"public_key": "twin:DDD="}));
}

#[test]
fn an_ambiguous_key_is_not_guessed() {
    let daemon = daemon();
    let told = daemon.run("key retire twin").fails(2);
    assert!(
        told.contains("more than one signing key called `twin`") && told.contains("public key"),
        "{told}"
    );
    for named in ["main-0", "main"] {
        let told = daemon.run(&format!("key retire {named}")).fails(5);
        assert!(told.contains("no signing key") && told.contains("key list"), "{told}");
    }
    assert!(daemon.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", daemon.requests());
}

#[test]
fn a_key_is_retired_without_its_cache_where_its_name_is_unique() {
    let keys = |name: &str| {
        json!([
            key(&format!("{name}-1"), &format!("{name}-1:AAA="), None),
            key("shared-1", "shared-1:BBB=", None)
        ])
    };
    let mut retired = key("second-1", "second-1:AAA=", Some(9));
    retired["notice"] = json!("Agents get another key.");
    let daemon = Daemon::start(&[
        ("GET /v1/caches", says(json!([cache("first"), cache("second")]))),
        ("GET /v1/caches/first", says(info("first", keys("first")))),
        ("GET /v1/caches/second", says(info("second", keys("second")))),
        ("POST /v1/caches/second/keys/retire", says(retired)),
    ]);
    let text = daemon.run("key retire second-1").succeeds();
    let expected =
        "Retired the key second-1 of second. Its signatures stay valid.\nAgents get another key.\n";
    assert_eq!(text, expected);
    assert_eq!(daemon.last_body(), json!({"public_key": "second-1:AAA="}));
    let told = daemon.run("key retire shared-1").fails(2);
    assert!(told.contains("--cache"), "{told}");
    let told = daemon.run("key retire nobody-1").fails(5);
    assert!(told.contains("nobody-1") && told.contains("key list"), "{told}");
}
