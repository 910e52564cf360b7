//! The bodies of requests and replies, across versions.
#![allow(clippy::unwrap_used)]

mod wire;

use serde_json::json;

use super::*;

#[test]
fn an_error_code_from_a_newer_daemon_is_readable() {
    let body = json!({"code": "out-of-cheese", "message": "no cheese", "hint": null});
    let error: ApiError = serde_json::from_value(body).unwrap();
    assert_eq!(error.code, ErrorCode::Unknown);
    assert_eq!(error.message, "no cheese");
}

#[test]
fn a_field_of_a_newer_daemon_is_ignored_in_replies() {
    let body = json!({"id": "1", "token": "t", "expires_at": null, "colour": "red"});
    assert!(serde_json::from_value::<CreatedToken>(body).is_ok());
}

#[test]
fn a_restriction_that_the_daemon_does_not_know_is_refused() {
    let body = json!({
        "subject": null, "caches": ["main"], "all": false, "permission": "write",
        "expires_seconds": null, "only_from": "10.0.0.0/8",
    });
    assert!(serde_json::from_value::<CreateToken>(body).is_err());
    let body = json!({
        "cache": "main", "name": "release", "path": "x", "keep_days": null, "keep_revisions": 3, "keep_hours": 1,
    });
    assert!(serde_json::from_value::<CreatePin>(body).is_err());
    let body = json!({"cache": "main", "name": "release", "revision": null, "before": 5});
    assert!(serde_json::from_value::<RemovePin>(body).is_err());
    let body = json!({"cache": "main", "hash": "0c0q", "recursive": true, "unless_pinned": true});
    assert!(serde_json::from_value::<DeletePath>(body).is_err());
    assert!(serde_json::from_value::<ListPaths>(json!({"cache": "main", "damaged": true})).is_err());
}

#[test]
fn a_state_that_only_a_newer_daemon_knows_is_readable() {
    let body = json!({
        "name": "gc", "state": "dreaming", "does": "collects garbage", "last_run": 5, "next_run": null,
        "last_error": null, "errors_in_a_row": 0, "progress": null,
    });
    assert_eq!(serde_json::from_value::<WorkerInfo>(body).unwrap().state, WorkerState::Unknown);
}

#[test]
fn debug_output_never_shows_the_token() {
    let created = CreatedToken { id: "1".into(), token: "secret".into(), expires_at: None };
    assert!(!format!("{created:?}").contains("secret"));
}

#[test]
fn debug_output_never_shows_a_signing_key() {
    let key = AddKey { cache: "main".into(), secret_key: Some("main-1:c2VjcmV0".into()) };
    let shown = format!("{key:?}");
    assert!(!shown.contains("main-1") && !shown.contains("c2Vj"), "{shown}");
    assert!(String::from_utf8(wire::body_of(&key)).unwrap().contains("main-1:c2VjcmV0"));
}

#[test]
fn a_cache_has_its_summary_beside_its_details_in_json() {
    let summary = json!({
        "name": "main", "enabled": true, "access": "public", "paths": 1, "file_bytes": 2, "nar_bytes": 3,
        "url": "http://localhost:1", "public_keys": ["k:AA=="], "signing": "auto",
        "gc_held_back": 0,
    });
    let mut info = summary.clone();
    info.as_object_mut().unwrap().extend(
        json!({
            "priority": 40, "compression": "zstd", "retention_days": 30, "max_bytes": null, "collects_when_full": false, "port": 1, "storages": [],
            "keys": [{
                "name": "k", "public_key": "k:AA==", "origin": "generated", "created_at": 5, "retired_at": null,
            }],
            "upstreams": [], "setup": [{"title": "Read", "lines": ["a", "b"]}],
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let read: CacheInfo = serde_json::from_value(info.clone()).unwrap();
    assert_eq!(read.summary, serde_json::from_value(summary).unwrap());
    assert_eq!(serde_json::to_value(read).unwrap(), info);
}
