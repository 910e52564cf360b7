//! Store paths: listed page by page, explained, deleted.

use serde_json::{Value, json};

use super::support::Daemon;
use super::{HASH, cache, refuses, says};

const WHY: &str = "GET /v1/caches/one/paths/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq/why";
const DELETE: &str = "POST /v1/caches/one/paths/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq/delete";

/// A path in a list.
pub fn row(name: &str) -> Value {
    json!({
        "cache": "one", "store_path": format!("/nix/store/{HASH}-{name}"), "file_size": 2, "nar_size": 3,
        "storage": "default", "created_at": 1, "last_used_at": null, "damaged": false,
    })
}

fn why() -> Value {
    json!({
        "store_path": format!("/nix/store/{HASH}-hello"), "live": true, "reason": "it is pinned as release",
        "chain": [format!("{HASH}-hello")], "goes_at": null,
    })
}

fn page(names: &[&str], next: Option<&str>) -> Value {
    json!({"paths": names.iter().map(|name| row(name)).collect::<Vec<_>>(), "next": next})
}

#[test]
fn a_list_of_paths_stops_at_the_limit_and_says_so() {
    let daemon = Daemon::start(&[("GET /v1/caches/one/paths", says(page(&["a", "b"], Some("5"))))]);
    let run = daemon.run("path list he&lo --cache one --limit 2");
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
    assert_eq!(run.stderr, "There are more paths: pass --all, or --after 5.\n");
    let json = daemon.run(&format!("path list --cache one --limit 1 --after {HASH}-x --json")).succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), page(&["a", "b"], Some("5")));
    assert_eq!(
        daemon.requests(),
        [
            "GET /v1/caches/one/paths?limit=2&query=he%26lo".to_owned(),
            format!("GET /v1/caches/one/paths?after={HASH}&limit=1"),
        ]
    );
}

#[test]
fn all_paths_are_fetched_page_by_page() {
    let daemon = Daemon::start(&[
        ("GET /v1/caches", says(json!([cache("one")]))),
        ("GET /v1/caches/one/paths?limit=10000", says(page(&["a"], Some("5")))),
        // A page may be empty before the last.
        ("GET /v1/caches/one/paths?after=5&limit=10000", says(page(&[], Some("6")))),
        ("GET /v1/caches/one/paths?after=6&limit=10000", says(page(&["b"], None))),
    ]);
    let json = daemon.run("path list --all --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), page(&["a", "b"], None));
}

#[test]
fn an_endless_list_is_an_error() {
    let daemon = Daemon::start(&[("GET /v1/caches/one/paths", says(page(&["a"], Some("5"))))]);
    let told = daemon.run("path list --cache one --all").fails(1);
    assert!(told.contains("the paths of one has no end"), "{told}");
    assert_eq!(daemon.seen().len(), 2);
}

#[test]
fn a_limit_counts_over_all_pages() {
    let daemon = Daemon::start(&[
        ("GET /v1/caches/one/paths?limit=3", says(page(&["a", "b"], Some("5")))),
        ("GET /v1/caches/one/paths?after=5&limit=1", says(page(&["c"], Some("6")))),
    ]);
    let json = daemon.run("path list --cache one --limit 3 --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), page(&["a", "b", "c"], Some("6")));
}

#[test]
fn why_a_path_is_kept_is_explained_for_one_cache_or_for_all() {
    let daemon = Daemon::start(&[
        ("GET /v1/caches", says(json!([cache("one"), cache("two")]))),
        ("GET /v1/workers", says(json!([]))),
        (WHY, says(why())),
    ]);
    let mut expected = why();
    expected["cache"] = json!("one");
    for line in ["path why", "gc --explain"] {
        let text = daemon.run(&format!("{line} {HASH} --cache one")).succeeds();
        assert!(
            text.contains("it is pinned as release") && text.contains("never, as long as this is the case"),
            "{text}"
        );
        let json = daemon.run(&format!("{line} /nix/store/{HASH}-hello --json")).succeeds();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([expected]));
    }
    let json = daemon.run(&format!("path why {HASH} --cache one --json")).succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
    daemon.run(&format!("path why {HASH} --cache two")).fails(5);
    let told = daemon.run(&format!("path why {}", HASH.replace('0', "1"))).fails(5);
    assert!(told.contains("looked in: one, two"), "{told}");
    assert!(daemon.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", daemon.requests());
}

#[test]
fn a_path_is_deleted_with_or_without_the_paths_that_refer_to_it() {
    let paths = [format!("/nix/store/{HASH}-hello")];
    let deleted = json!({
        "paths": paths, "bytes_freed": 1 << 20, "bytes_trashed": 0, "restorable_until": null, "postponed": 0,
    });
    let daemon =
        Daemon::start(&[("GET /v1/caches", says(json!([cache("one")]))), (DELETE, says(deleted.clone()))]);
    let text = daemon.run(&format!("path delete /nix/store/{HASH}-hello")).succeeds();
    assert_eq!(text, format!("Deleted 1 path from one (1.00 MiB freed):\n  /nix/store/{HASH}-hello\n"));
    assert_eq!(daemon.last_body(), json!({"recursive": false}));
    let json = daemon.run(&format!("path delete {HASH} --cache one --recursive --json")).succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), deleted);
    assert_eq!(daemon.last_body(), json!({"recursive": true}));
}

#[test]
fn a_path_that_others_need_is_not_deleted() {
    let daemon = Daemon::start(&[(DELETE, refuses(409, "conflict"))]);
    let told = daemon.run(&format!("path delete {HASH} --cache one")).fails(6);
    assert_eq!(told, "cachectl: that went wrong\nDo this.\n");
}
