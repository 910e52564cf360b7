//! Requests on the wire: the daemon decodes what a client encodes.

use std::fmt::Debug;

use http::Method;
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;

use crate::wire::{DecodeError, Encoded, PathParameters, decode, encode, match_path};
use crate::*;

/// Calls the macro `$then` with every request type.
macro_rules! with_every_endpoint {
    ($then:ident) => {
        $then!(
            AbortUpload,
            Activate,
            AddKey,
            CancelDeployment,
            CheckUpstreams,
            CreatePin,
            CreateToken,
            DeletePath,
            Diagnose,
            EmptyTrash,
            ExplainPath,
            JobRequest,
            ListAgents,
            ListCaches,
            ListDeployments,
            ListJobs,
            ListPaths,
            ListPeers,
            ListPins,
            ListTokens,
            ListTrash,
            ListUploads,
            ListUpstreams,
            ListWorkers,
            ListWorkspaces,
            PauseWorker,
            PingPeer,
            ReadLog,
            ReadRecord,
            Reload,
            RemovePin,
            RestorePath,
            ResumeWorker,
            RetireKey,
            RevokeToken,
            Rollback,
            ShowAgent,
            ShowCache,
            ShowDeployment,
            ShowDht,
            ShowPath,
            ShowStatus,
            ShowUsage,
            ShowWorkspace,
            StopJob,
            WriteNote
        )
    };
}

/// The body of a request as it is sent.
pub(super) fn body_of<E: Endpoint>(request: &E) -> Vec<u8> {
    encode(request).body
}

fn target<E: Endpoint>(request: &E) -> String {
    encode(request).target
}

/// Decodes a request as the daemon does: with the path and the query as they came.
fn receive<E: Endpoint>(Encoded { target, body }: &Encoded) -> Option<Result<E, DecodeError>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match_path::<E>(path).map(|parameters| decode(parameters, query, body))
}

#[track_caller]
fn assert_arrives<E: Endpoint + Debug + PartialEq>(request: &E) {
    let sent = encode(request);
    assert!(sent.target.bytes().all(|byte| byte.is_ascii_graphic()), "{}", sent.target);
    assert!(E::METHOD != Method::GET || sent.body.is_empty());
    let received = receive::<E>(&sent).unwrap_or_else(|| panic!("{} goes elsewhere", sent.target));
    assert_eq!(&received.unwrap(), request);
    // No other endpoint takes it, however the fields are filled.
    let mut takers = Vec::new();
    macro_rules! count_takers {
        ($($endpoint:ident),*) => {
            $(if <$endpoint as Endpoint>::METHOD == E::METHOD && receive::<$endpoint>(&sent).is_some() {
                takers.push(<$endpoint as Endpoint>::PATH);
            })*
        };
    }
    with_every_endpoint!(count_takers);
    assert_eq!(takers, [E::PATH]);
}

/// Text of every kind, with what paths, queries and percent-encoding give a meaning to.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{0,12}",
        "[a/ %?#&=+.;:@\\\\\"{}\u{e9}\u{20ac}\u{1f600}\u{0}\n]{0,12}",
        Just("..".to_owned()),
        Just("%2F%2e%".to_owned()),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn every_name_arrives_as_it_was_typed(cache in text(), name in text(), other in option::of(text())) {
        assert_arrives(&ShowCache { cache: cache.clone() });
        assert_arrives(&ShowPath { cache: cache.clone(), hash: name.clone() });
        assert_arrives(&ExplainPath { cache: cache.clone(), hash: name.clone() });
        assert_arrives(&DeletePath { cache: cache.clone(), hash: name.clone(), recursive: other.is_some(), no_trash: other.is_some() });
        assert_arrives(&RestorePath { cache: cache.clone(), hash: name.clone() });
        assert_arrives(&EmptyTrash { cache: cache.clone() });
        assert_arrives(&ListTrash { cache: cache.clone(), after: other.clone(), limit: None });
        assert_arrives(&AddKey { cache: cache.clone(), secret_key: other.clone() });
        assert_arrives(&RetireKey { cache: cache.clone(), public_key: name.clone() });
        assert_arrives(&RevokeToken { id: name.clone() });
        assert_arrives(&ShowAgent { agent: name.clone() });
        assert_arrives(&ShowWorkspace { workspace: name.clone() });
        assert_arrives(&ShowDeployment { deployment: name.clone() });
        assert_arrives(&CancelDeployment { deployment: name.clone() });
        assert_arrives(&ReadLog { deployment: name.clone(), follow: other.as_ref().map(|text| text.is_empty()) });
        assert_arrives(&AbortUpload { upload: name.clone() });
        assert_arrives(&PauseWorker { worker: name.clone() });
        assert_arrives(&ResumeWorker { worker: name.clone() });
        assert_arrives(&PingPeer { node: name.clone() });
        assert_arrives(&StopJob { id: name.clone() });
        assert_arrives(&Rollback { agent: name.clone() });
        assert_arrives(&ReadRecord { key: name.clone() });
        assert_arrives(&WriteNote { key: name.clone(), text: cache.clone() });
        assert_arrives(&ListPins { cache: other.clone() });
        assert_arrives(&RemovePin { cache, name, revision: other.map(|text| text.len() as u64) });
    }

    #[test]
    fn every_number_and_choice_arrives(
        cache in text(), after in option::of(text()), limit in option::of(any::<u32>()),
        big in option::of(any::<u64>()), query in option::of(text()), flag in any::<bool>(),
    ) {
        assert_arrives(&ListPaths { cache: cache.clone(), after: after.clone(), limit, query: query.clone() });
        assert_arrives(&ListDeployments { agent: after.clone(), limit: big });
        for by in [None, Some(UsageBy::Age), Some(UsageBy::Cache), Some(UsageBy::Storage)] {
            assert_arrives(&ShowUsage { by, cache: after.clone(), top: limit, physical: Some(flag) });
        }
        assert_arrives(&CreatePin {
            cache: cache.clone(), name: cache.clone(), path: cache.clone(), keep_days: limit, keep_revisions: limit,
        });
        for permission in [Permission::Read, Permission::Activate, Permission::Agent] {
            assert_arrives(&CreateToken {
                subject: after.clone(), caches: vec![cache.clone()], all: flag, workspace: query.clone(),
                agent: after.clone(), permission, expires_seconds: big, daily_limit: big,
            });
        }
        assert_arrives(&JobRequest::Scrub { cache: after.clone(), storage: query, rate: big, restart: flag });
        assert_arrives(&JobRequest::Gc {
            cache: after, dry_run: flag, to_size: big, older_than: big, accept_clock: flag, no_trash: flag, brief: flag, for_room: flag,
        });
    }

    #[test]
    fn every_specification_arrives(
        workspace in option::of(text()), agents in btree_map(text(), text(), 0..4), flag in any::<bool>(),
    ) {
        let rollback_scripts = agents.clone();
        assert_arrives(&Activate { workspace, agents, rollback_scripts, allow_missing: flag });
    }
}

#[test]
fn a_request_without_fields_arrives() {
    macro_rules! assert_all_arrive {
        ($($request:expr),* $(,)?) => { $(assert_arrives(&$request);)* };
    }
    assert_all_arrive!(
        CheckUpstreams {},
        Diagnose {},
        ListAgents {},
        ListCaches {},
        ListJobs {},
        ListPeers {},
        ListTokens {},
        ListUploads {},
        ListUpstreams {},
        ListWorkers {},
        ListWorkspaces {},
        Reload {},
        ShowDht {},
        ShowStatus {},
    );
    assert!(body_of(&Reload {}).is_empty(), "the same as `curl -X POST`");
}

#[test]
fn what_a_person_typed_stays_one_segment() {
    let show = |cache: &str| target(&ShowCache { cache: cache.into() });
    assert_eq!(show("main"), "/v1/caches/main");
    assert_eq!(show("../tokens"), "/v1/caches/%2E%2E%2Ftokens");
    let path = ShowPath { cache: "a b".into(), hash: "x?y#z".into() };
    assert_eq!(target(&path), "/v1/caches/a%20b/paths/x%3Fy%23z");
    assert_eq!(target(&RevokeToken { id: "5f-1".into() }), "/v1/tokens/5f-1/revoke");
}

#[test]
fn a_query_holds_what_was_asked_for_and_nothing_else() {
    let all = ListPaths { cache: "main".into(), ..ListPaths::default() };
    assert_eq!(target(&all), "/v1/caches/main/paths");
    let some = ListPaths {
        after: Some("0c0q".into()),
        limit: Some(10),
        query: Some("a b&limit=99#+%".into()),
        ..all
    };
    assert_eq!(target(&some), "/v1/caches/main/paths?after=0c0q&limit=10&query=a%20b%26limit%3D99%23%2B%25");
    assert_eq!(
        target(&ShowUsage { by: Some(UsageBy::Age), cache: None, top: Some(3), physical: None }),
        "/v1/usage?by=age&top=3"
    );
}

#[test]
fn a_body_holds_what_is_not_in_the_path() {
    let delete = DeletePath { cache: "main".into(), hash: "0c0q".into(), recursive: true, no_trash: false };
    assert_eq!(body_of(&delete), br#"{"recursive":true}"#);
    assert_eq!(body_of(&AddKey { cache: "main".into(), secret_key: None }), br#"{"secret_key":null}"#);
    assert!(body_of(&StopJob { id: "7".into() }).is_empty());
}

#[test]
fn a_field_that_appears_twice_or_is_malformed_is_refused() {
    fn refused<E: Endpoint + Debug>(target: &str, body: &str) -> DecodeError {
        let request = Encoded { target: target.into(), body: body.into() };
        receive::<E>(&request).expect("the path is that of the endpoint").unwrap_err()
    }
    let in_path = refused::<AddKey>("/v1/caches/main/keys", r#"{"cache": "other", "secret_key": null}"#);
    assert!(matches!(in_path, DecodeError::InPath("cache")));
    assert!(matches!(refused::<ListPaths>("/v1/caches/main/paths?cache=other", ""), DecodeError::Query(_)));
    assert!(matches!(refused::<ListPaths>("/v1/caches/main/paths?limit=many", ""), DecodeError::Query(_)));
    assert!(matches!(refused::<ListPaths>("/v1/caches/main/paths?damaged=1", ""), DecodeError::Query(_)));
    for body in ["", "[]", "{", r#"{"key": 5, "text": ""}"#] {
        assert!(matches!(refused::<WriteNote>("/v1/dht/notes", body), DecodeError::Body(_)), "{body}");
    }
}

#[test]
fn a_path_of_another_shape_is_not_taken() {
    for path in [
        "",
        "/",
        "/v1/caches",
        "/v1/caches/",
        "/v1/caches/a/b",
        "/v1/caches/a/",
        "/v2/caches/a",
        "v1/caches/a",
    ] {
        let taken = match_path::<ShowCache>(path);
        // An empty name is a name, so that the answer is about it.
        assert_eq!(taken.is_some(), path == "/v1/caches/", "{path}");
    }
    assert!(match_path::<ListCaches>("/v1/caches/").is_none());
    let nothing: Option<PathParameters> = match_path::<ListCaches>("/v1/tokens");
    assert_eq!(nothing, None);
}

#[test]
fn no_error_repeats_its_cause() {
    let query = serde_urlencoded::from_str::<ListPins>("colour=red").unwrap_err();
    let body = serde_json::from_str::<ListPins>("{").unwrap_err();
    for error in [DecodeError::Query(query), DecodeError::Body(body), DecodeError::InPath("cache")] {
        // A new variant belongs in the list above.
        match &error {
            DecodeError::Query(_) | DecodeError::Body(_) | DecodeError::InPath(_) => {}
        }
        if let Some(source) = std::error::Error::source(&error) {
            assert!(!error.to_string().contains(&source.to_string()), "{error}");
        }
    }
}
