#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

#[test]
fn what_a_person_typed_stays_one_segment() {
    assert_eq!(routes::cache("main"), "/v1/caches/main");
    assert_eq!(routes::cache("../tokens"), "/v1/caches/%2E%2E%2Ftokens");
    assert_eq!(routes::path("a b", "x?y#z"), "/v1/caches/a%20b/paths/x%3Fy%23z");
    assert_eq!(routes::revoke_token("5f-1"), "/v1/tokens/5f-1/revoke");
    assert_eq!(routes::stop_job("7/8"), "/v1/jobs/7%2F8/stop");
}

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
}

#[test]
fn debug_output_never_shows_the_token() {
    let created = CreatedToken { id: "1".into(), token: "secret".into(), expires_at: None };
    assert!(!format!("{created:?}").contains("secret"));
}

#[test]
fn a_cache_has_its_summary_beside_its_details_in_json() {
    let summary = json!({
        "name": "main", "enabled": true, "access": "public", "paths": 1, "file_bytes": 2, "nar_bytes": 3,
        "url": "http://localhost:1", "public_keys": ["k:AA=="], "signing": "auto",
    });
    let mut info = summary.clone();
    info.as_object_mut().unwrap().extend(
        json!({
            "priority": 40, "compression": "zstd", "retention_days": 30, "port": 1, "storages": [],
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
