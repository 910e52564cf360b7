//! Other nodes, and the DHT.

use serde_json::{Value, json};

use super::support::Daemon;
use super::{HASH, refuses, says};

const ONE: &str = "5f0c9d7e31b24a86b0d2c4f6a8e01357";
const OTHER: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";

fn peer(node: &str) -> Value {
    json!({
        "node": node, "url": "http://h/", "caches": ["main"], "last_seen": 1, "load": 3, "free": 4,
        "latency": 1500, "shunned_for": null, "digest_age": 2,
    })
}

fn ping(node: &str, latency: Option<u64>) -> Value {
    let error = latency.is_none().then_some("no answer in time");
    json!({"node": node, "url": "http://h/", "latency": latency, "error": error})
}

#[test]
fn nodes_are_listed() {
    let daemon = Daemon::start(&[("GET /v1/peers", says(json!([peer(ONE)])))]);
    let text = daemon.run("peer list").succeeds();
    assert!(text.contains("5f0c9d7e  http://h/  ok"), "{text}");
    let json: Value = serde_json::from_str(&daemon.run("peer list --json").succeeds()).unwrap();
    assert_eq!(json, json!([peer(ONE)]));
    Daemon::start(&[("GET /v1/peers", refuses(409, "conflict"))]).run("peer list").fails(6);
}

#[test]
fn nodes_that_do_not_answer_are_counted() {
    const PING_ONE: &str = "POST /v1/peers/5f0c9d7e31b24a86b0d2c4f6a8e01357/ping";
    const PING_OTHER: &str = "POST /v1/peers/a1b2c3d4e5f60718293a4b5c6d7e8f90/ping";
    let daemon = Daemon::start(&[
        ("GET /v1/peers", says(json!([peer(ONE), peer(OTHER)]))),
        (PING_ONE, says(ping(ONE, Some(1500)))),
        (PING_OTHER, says(ping(OTHER, None))),
    ]);
    let run = daemon.run("peer ping");
    assert_eq!(run.code, 9);
    assert!(run.stderr.contains("1 node did not answer"), "{}", run.stderr);
    assert!(run.stdout.contains("1.5 ms") && run.stdout.contains("no answer"), "{}", run.stdout);
    let text = daemon.run("peer ping 5f").succeeds();
    assert!(text.contains("1.5 ms") && !text.contains("no answer"), "{text}");
    assert_eq!(daemon.requests().last().unwrap(), PING_ONE);
    daemon.run("peer ping 77").fails(5);
}

#[test]
fn records_of_the_dht_are_shown() {
    let providers = json!({"key": format!("p:{HASH}"), "content": {"providers": [
        {"node": ONE, "number": 1, "cache": "main", "said": 1},
    ]}});
    let daemon = Daemon::start(&[("GET /v1/dht/record", says(providers.clone()))]);
    for key in [format!("p:{HASH}"), format!("/nix/store/{HASH}-hello"), HASH.to_owned()] {
        let text = daemon.run(&format!("dht get {key}")).succeeds();
        assert!(text.contains(ONE) && text.contains("main"), "{text}");
        let json = daemon.run(&format!("dht get {key} --json")).succeeds();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), providers);
        assert_eq!(*daemon.requests().last().unwrap(), format!("GET /v1/dht/record?key=p%3A{HASH}"));
    }
    daemon.run("dht get").fails(2);
    let daemon = Daemon::start(&[("GET /v1/dht/record", refuses(404, "not-found"))]);
    daemon.run("dht get x:hello").fails(5);
}

#[test]
fn a_note_is_put_into_the_dht() {
    let note = json!({"key": "x:hello", "content": {"note": {"text": "hi", "written": 1}}});
    let daemon = Daemon::start(&[("POST /v1/dht/notes", says(note.clone()))]);
    assert!(daemon.run("dht put x:hello hi").succeeds().starts_with("hi\nWritten "));
    assert_eq!(daemon.last_body(), json!({"key": "x:hello", "text": "hi"}));
}
