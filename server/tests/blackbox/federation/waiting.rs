//! Upstreams that take their time: Nix remembers for an hour that a path is not there, so that is said only if it is so.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::{Path, Response, SOON, Site, wait_for};
use crate::nix_client::{reader, url};

/// A daemon whose cache `pub` asks there, and waits no longer than usual.
fn asking(entry: &serde_json::Value) -> Site {
    Site::with(|config| config["caches"][0]["upstreams"] = json!([entry]))
}

#[track_caller]
fn assert_says_to_come_back(reply: &Response) {
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

/// Copies the path with as many attempts as Nix makes unless it is told otherwise, which the other tests do.
fn copy_with_usual_attempts(site: &Site, path: &Path) -> String {
    format!("nix copy --option download-attempts 5 --from {} {}", url(site, "pub"), path.store_path())
}

fn late(upstream: &Upstream, path: &Path, delay: Duration) {
    upstream.has(path);
    upstream.on_narinfo(path, Act::Late(delay, upstream.narinfo(path).into_bytes()));
}

#[test]
fn what_a_slow_upstream_has_is_not_said_to_be_absent() {
    let upstream = Upstream::start();
    let site = asking(&upstream.entry());
    let path = Path::small("late");
    late(&upstream, &path, Duration::from_millis(1500));
    let target = format!("/{}.narinfo", path.hash);
    assert_says_to_come_back(&site.cache("pub").get(&target).send());
    assert_says_to_come_back(&site.cache("pub").head(&target).send());
    wait_for(SOON, "it is found", || match site.reader("pub").narinfo_status(&path) {
        200 => Some(()),
        status => {
            assert_eq!(status, 503);
            None
        }
    });
    site.reader("pub").assert_has(&path);
    // All of them waited for the same question.
    assert_eq!(upstream.asked(&target), 1);
}

#[test]
fn nix_gets_what_a_slow_upstream_has() {
    let upstream = Upstream::start();
    let site = asking(&upstream.entry());
    let path = Path::small("late");
    late(&upstream, &path, Duration::from_millis(1500));
    let command = copy_with_usual_attempts(&site, &path);
    reader(&site, "pub").ok(&command);
}

#[test]
fn an_upstream_that_hangs_is_waited_for_a_while_and_then_left_alone() {
    let upstream = Upstream::start();
    let site = asking(&upstream.entry());
    let reader = site.reader("pub");
    // One by one, until it is known that it hangs.
    for _ in 0..3 {
        let path = Path::small("awaited");
        upstream.on_narinfo(&path, Act::Hang);
        assert_eq!(reader.narinfo_status(&path), 503);
        wait_for(SOON, "it is given up", || match reader.narinfo_status(&path) {
            404 => Some(()),
            status => {
                assert_eq!(status, 503);
                None
            }
        });
        // The answer is remembered for longer than Nix waits between two attempts.
        assert_eq!(reader.narinfo_status(&path), 404);
        assert_eq!(upstream.asked(&format!("/{}.narinfo", path.hash)), 1);
    }
    let path = Path::small("absent");
    assert_eq!(reader.narinfo_status(&path), 404);
    assert_eq!(upstream.asked(&format!("/{}.narinfo", path.hash)), 0);
}

#[test]
fn nix_is_told_in_the_end_what_an_upstream_that_hangs_does_not_have() {
    let upstream = Upstream::start();
    let site = asking(&upstream.entry());
    let path = Path::small("awaited");
    upstream.on_narinfo(&path, Act::Hang);
    let host = reader(&site, "pub");
    let said = host.fails(&copy_with_usual_attempts(&site, &path));
    assert!(said.contains("there is no substituter that can build it"), "{said}");
}

#[test]
fn an_upstream_where_nobody_listens_costs_no_attempts() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let site = asking(&json!(format!("http://{address} {}", Upstream::start().public_key())));
    for _ in 0..8 {
        assert_eq!(site.reader("pub").narinfo_status(&Path::small("absent")), 404);
    }
}

#[test]
fn an_upstream_that_is_still_looking_is_asked_again_and_not_given_up() {
    let upstream = Upstream::start();
    let site = asking(&upstream.entry());
    for _ in 0..3 {
        let path = Path::small("looked-for");
        upstream.on_narinfo(&path, Act::NotYet);
        assert_says_to_come_back(&site.cache("pub").get(&format!("/{}.narinfo", path.hash)).send());
        upstream.has(&path);
        wait_for(SOON, "it is found", || (site.reader("pub").narinfo_status(&path) == 200).then_some(()));
    }
}

#[test]
fn a_deployment_waits_for_what_a_slow_upstream_has() {
    let upstream = Upstream::start();
    let entry = upstream.entry();
    let site = Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["workspaces"] = json!([{"name": "office", "cache": "pub"}]);
        config["agents"] = json!([{"name": "desk", "workspace": "office"}]);
    });
    let (path, absent) = (Path::small("late"), Path::small("absent"));
    late(&upstream, &path, Duration::from_millis(1500));
    let token = site.create_token(&["--workspace", "office", "--permission", "activate"]);
    let activate = |path: &Path| {
        let specification = json!({"agents": {"desk": path.store_path()}});
        site.api().post("/api/v2/deploy/activate").bearer(&token).json(&specification).send().status
    };
    assert_eq!(activate(&path), 200);
    assert!((400..500).contains(&activate(&absent)));
}
