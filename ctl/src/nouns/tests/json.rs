//! What `--json` prints: scripts rely on each name in it.

use serde::Serialize;

use super::super::key::CacheKey;
use super::super::path::CacheWhy;
use super::*;

#[track_caller]
fn assert_json(name: &str, value: &impl Serialize) {
    assert_golden(&format!("json/{name}.json"), &crate::output::to_json(value));
}

#[test]
fn the_daemon_and_its_work_in_json() {
    let status = samples::status();
    let json = crate::output::to_json(&status);
    assert_eq!(serde_json::from_str::<admin_api::Status>(&json).unwrap(), status);
    assert_json("status", &status);
    assert_json("workers", &worker::Work { workers: samples::daemon::workers(), jobs: samples::jobs() });
    assert_json("jobs", &samples::jobs());
    let summaries = samples::summaries().into_iter().chain(samples::paths::summaries());
    assert_json("summaries", &summaries.collect::<Vec<_>>());
    assert_json("doctor", &samples::daemon::findings());
    assert_json("reloaded", &samples::daemon::reloaded());
}

#[test]
fn caches_and_what_is_in_them_in_json() {
    let cache = samples::cache();
    assert_json("caches", &samples::status().caches);
    assert_json("cache", &cache);
    assert_json("storages", &samples::storages());
    let usage = usage::Usage {
        caches: Some(samples::status().caches),
        storages: Some(samples::storages()),
        by_age: Some(samples::paths::ages()),
        largest: Some(samples::paths::rows()),
        physical: Some(samples::paths::physical()),
        all_bytes: 1 << 40,
    };
    assert_json("usage", &usage);
    assert_json("path", &samples::path());
    let next = Some("0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq".to_owned());
    assert_json("paths", &admin_api::PathList { paths: samples::paths::rows(), next });
    let whys = samples::paths::whys().map(|why| CacheWhy { cache: "main".into(), why });
    assert_json("whys", &whys);
    assert_json("pins", &samples::paths::pins());
    assert_json("tokens", &samples::tokens());
    assert_json("uploads", &samples::uploads());
    let keys = cache.keys.into_iter().map(|key| CacheKey { cache: "main".into(), key });
    assert_json("keys", &keys.collect::<Vec<_>>());
}

#[test]
fn other_nodes_in_json() {
    assert_json("peers", &samples::network::peers());
    assert_json("pings", &samples::network::pings());
    assert_json("upstreams", &samples::network::upstreams());
    assert_json("upstream-checks", &samples::network::upstream_checks());
    assert_json("dht", &samples::network::dht());
    assert_json("records", &samples::network::records());
}

#[test]
fn agents_and_deployments_in_json() {
    let agents = samples::deploy::agents();
    assert_json("agents", &agents);
    assert_json("deployments", &samples::deploy::deployments());
    let workspaces = samples::deploy::workspaces();
    assert_json("workspaces", &workspaces);
    let workspace = workspaces.into_iter().next().unwrap();
    assert_json("workspace", &workspace::Whole { workspace, members: agents });
}
