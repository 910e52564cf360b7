//! What an upstream has is not pushed again.

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::{Path, Permission, Pusher, Site};

fn site(upstream: &Upstream, skip: Option<bool>) -> Site {
    let entry = upstream.entry();
    Site::with(move |config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        if let Some(skip) = skip {
            config["caches"][0]["skip-upstream"] = json!(skip);
        }
    })
}

#[test]
fn what_a_trusted_upstream_has_counts_as_present_for_who_pushes() {
    let upstream = Upstream::start();
    let paths: Vec<Path> = (0..6).map(|number| Path::small(&format!("path-{number}"))).collect();
    paths[..3].iter().for_each(|path| upstream.has(path));
    // Signed by nobody that counts.
    upstream.on_narinfo(&paths[3], Act::Send(paths[3].narinfo_text().into_bytes()));
    let site = site(&upstream, None);
    site.pusher("pub").push(&paths[4]);
    let hashes: Vec<&str> = paths.iter().map(|path| path.hash.as_str()).collect();
    let missing = site.pusher("pub").missing(&hashes);
    assert_eq!(missing, [paths[3].hash.as_str(), paths[5].hash.as_str()]);
    // Readers have it through us.
    site.reader("pub").assert_has(&paths[0]);
    // Whoever may only read cannot have us ask.
    let asked = upstream.requests().len();
    let reader = Pusher::new(site.api(), "pub", &site.token("pub", Permission::Read));
    assert_eq!(reader.missing(&hashes).len(), 5);
    assert_eq!(upstream.requests().len(), asked);
}

#[test]
fn everything_is_pushed_where_the_config_says_so_or_the_upstream_is_away() {
    let upstream = Upstream::start();
    let path = Path::small("upstream");
    upstream.has(&path);
    let site = site(&upstream, Some(false));
    assert_eq!(site.pusher("pub").missing(&[&path.hash]), [path.hash.as_str()]);
    site.edit_config(|config| {
        config["caches"][0]["skip-upstream"] = json!(true);
    });
    site.cachectl_ok(&["reload"]);
    assert!(site.pusher("pub").missing(&[&path.hash]).is_empty());
    let other = Path::small("other");
    upstream.on_narinfo(&other, Act::Status(500));
    assert_eq!(site.pusher("pub").missing(&[&other.hash]), [other.hash.as_str()]);
}

#[test]
fn a_large_query_is_answered_as_a_whole() {
    let upstream = Upstream::start();
    let there: Vec<Path> = (0..3).map(|number| Path::small(&format!("there-{number}"))).collect();
    there.iter().for_each(|path| upstream.has(path));
    let site = site(&upstream, None);
    let missing: Vec<String> = (0..2_000).map(|_| crate::harness::path::random_hash()).collect();
    let mut hashes: Vec<&str> = there.iter().map(|path| path.hash.as_str()).collect();
    hashes.splice(1..1, missing.iter().map(String::as_str));
    assert_eq!(site.pusher("pub").missing(&hashes), missing);
}
