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
    assert_eq!(routes::path_why("main", "x"), "/v1/caches/main/paths/x/why");
    assert_eq!(routes::delete_path("main", "x"), "/v1/caches/main/paths/x/delete");
    assert_eq!(routes::retire_key("a?b"), "/v1/caches/a%3Fb/keys/retire");
    assert_eq!(routes::pause_worker("../gc"), "/v1/workers/%2E%2E%2Fgc/pause");
    assert_eq!(routes::resume_worker("gc"), "/v1/workers/gc/resume");
}

#[test]
fn a_query_holds_what_was_asked_for_and_nothing_else() {
    assert_eq!(routes::list_paths("main", &ListPaths::default()), "/v1/caches/main/paths");
    let wanted =
        ListPaths { after: Some("0c0q".into()), limit: Some(10), query: Some("a b&limit=99#+%".into()) };
    assert_eq!(
        routes::list_paths("main", &wanted),
        "/v1/caches/main/paths?after=0c0q&limit=10&query=a%20b%26limit%3D99%23%2B%25"
    );
    assert_eq!(routes::list_pins(&ListPins { cache: Some("main".into()) }), "/v1/pins?cache=main");
    for by in [UsageBy::Age, UsageBy::Cache, UsageBy::Storage] {
        let wanted = UsageQuery { by: Some(by), cache: None, top: Some(3) };
        // As serde reads it.
        let name = serde_json::to_value(by).unwrap();
        assert_eq!(routes::show_usage(&wanted), format!("/v1/usage?by={}&top=3", name.as_str().unwrap()));
    }
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
    let body = json!({
        "cache": "main", "name": "release", "path": "x", "keep_days": null, "keep_revisions": 3, "keep_hours": 1,
    });
    assert!(serde_json::from_value::<CreatePin>(body).is_err());
    let body = json!({"cache": "main", "name": "release", "revision": null, "before": 5});
    assert!(serde_json::from_value::<RemovePin>(body).is_err());
    assert!(serde_json::from_value::<DeletePath>(json!({"recursive": true, "unless_pinned": true})).is_err());
    assert!(serde_json::from_value::<ListPaths>(json!({"damaged": true})).is_err());
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
    let key = AddKey { secret_key: Some("main-1:c2VjcmV0".into()) };
    let shown = format!("{key:?}");
    assert!(!shown.contains("main-1") && !shown.contains("c2Vj"), "{shown}");
    let body = json!({"secret_key": "main-1:c2VjcmV0"});
    assert_eq!(serde_json::to_value(key).unwrap(), body);
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
