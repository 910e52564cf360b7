//! What of a recorded answer the contract fixes.

use serde_json::Value;

use crate::harness::{NarInfo, Response};

/// Compares our answer with the recorded one.
pub fn reply(exchange: &Value, ours: &Response) {
    let (request, recorded) = (&exchange["request"], &exchange["response"]);
    let target = request["target"].as_str().unwrap();
    let what = format!("{} {} {target}", exchange["seq"], request["method"]);
    let body = String::from_utf8_lossy(&ours.body);
    assert_eq!(u64::from(ours.status), recorded["status"].as_u64().unwrap(), "{what}: {body}");

    if request["method"] == "HEAD" {
        return;
    }
    if ours.status >= 400 {
        let kind = ours.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("text/plain") && !ours.body.is_empty(), "{what}: {kind}, {body}");
        let challenge = recorded["headers"].get("WWW-Authenticate").is_some();
        assert!(!challenge || ours.header("WWW-Authenticate").is_some(), "{what}: a challenge");
        return;
    }
    let kind = recorded["headers"]["Content-Type"].as_str().unwrap_or_default();
    let text = recorded["body_text"].as_str();
    match (kind, text) {
        ("text/x-nix-narinfo", Some(text)) => narinfo(&what, &NarInfo::parse(text), ours),
        ("text/x-nix-cache-info", Some(text)) => {
            assert_eq!(ours.header("Content-Type"), Some(kind), "{what}");
            assert_eq!(sorted_lines(ours.text()), sorted_lines(text), "{what}");
        }
        ("application/json", Some("[]")) if !target.ends_with("/narinfo") => {} // The client ignores it.
        ("application/json", Some(text)) => json(&what, &serde_json::from_str(text).unwrap(), &ours.json()),
        _ if request["method"] == "PUT" => {
            let etag = recorded["headers"].get("ETag").is_some();
            assert!(!etag || !ours.header("ETag").unwrap_or_default().is_empty(), "{what}: an ETag");
        }
        _ => {
            let recorded_body = super::replay::recorded_body(recorded).unwrap();
            assert!(ours.body == recorded_body, "{what}: other bytes");
            if kind.starts_with("text/plain") {
                assert!(ours.header("Content-Type").unwrap_or_default().starts_with("text/plain"), "{what}");
            }
        }
    }
}

fn json(what: &str, recorded: &Value, ours: &Value) {
    match recorded {
        // Which hashes are missing; in any order.
        Value::Array(_) => assert_eq!(sorted(ours), sorted(recorded), "{what}"),
        Value::Object(fields) if fields.contains_key("publicSigningKeys") => {
            let [mut recorded, mut ours] = [recorded.clone(), ours.clone()];
            // It was changed in the middle of recording 04; test 11 looks at it.
            for cache in [&mut recorded, &mut ours] {
                let preference = cache.as_object_mut().unwrap().remove("preferredCompressionMethod").unwrap();
                assert!(preference == "ZSTD" || preference == "XZ", "{what}: {preference}");
            }
            assert_eq!(ours, recorded, "{what}");
        }
        Value::Object(fields) if fields.contains_key("storePath") => deployment(what, recorded, ours),
        Value::Object(fields) if fields.contains_key("agents") => {
            let names =
                |json: &Value| json["agents"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(ours), names(recorded), "{what}");
        }
        // Opaque values of the server.
        Value::Object(fields) => {
            for key in fields.keys() {
                assert!(ours[key].is_string(), "{what}: {key} in {ours}");
            }
        }
        _ => panic!("{what}: no rule for {recorded}"),
    }
}

/// How far a deployment has come when it is asked about is a matter of time.
fn deployment(what: &str, recorded: &Value, ours: &Value) {
    let keys = |json: &Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(ours), keys(recorded), "{what}");
    for key in ["index", "storePath", "closureSize"] {
        assert_eq!(ours[key], recorded[key], "{what}: {key}");
    }
}

/// URL and the spelling of the file's hash are the server's own; where Nix itself had put the path, the recorder did not
/// sign it, and ours does.
fn narinfo(what: &str, recorded: &NarInfo, ours: &Response) {
    assert_eq!(ours.header("Content-Type"), Some("text/x-nix-narinfo"), "{what}");
    let mut ours = NarInfo::parse(ours.text());
    assert_eq!(ours.file_hash_bytes(), recorded.file_hash_bytes(), "{what}");
    if recorded.signatures.is_empty() {
        assert_eq!(ours.signatures.len(), 1, "{what}");
        ours.signatures.clear();
    }
    ours.url.clone_from(&recorded.url);
    ours.file_hash.clone_from(&recorded.file_hash);
    assert_eq!(ours, *recorded, "{what}");
}

fn sorted(list: &Value) -> Vec<String> {
    let mut list: Vec<String> = serde_json::from_value(list.clone()).unwrap();
    list.sort_unstable();
    list
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
