//! `cachectl` against the real daemon. The details of its output are tested beside its own code.

use serde_json::Value;

use crate::harness::{Compression, Path, Site, path::random_hash};

fn json(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&site.cachectl_ok(&[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn status_describes_the_daemon() {
    let site = Site::start();
    let paths = [Path::small("one"), Path::small("two").compressed_with(Compression::Xz)];
    for path in &paths {
        site.pusher("pub").push(path);
    }
    let status = json(&site, &["status"]);
    assert!(status["uptime_seconds"].is_u64());
    assert!(!status["version"].as_str().unwrap().is_empty());
    assert_eq!(status["state_dir"], site.state_dir().to_str().unwrap());
    assert_eq!(status["config"], site.directory().join("config.yaml").to_str().unwrap());

    let listeners = status["listeners"].as_array().unwrap();
    let listens = |purpose: &str, port: u16| {
        let address = format!("127.0.0.1:{port}");
        listeners.iter().any(|listener| listener["purpose"] == purpose && listener["address"] == *address)
    };
    assert!(listens("api", site.port("api")), "{listeners:?}");
    for cache in ["pub", "priv", "self", "my-cache-2"] {
        assert!(listens("cache", site.port(cache)), "{cache}: {listeners:?}");
    }

    let caches = status["caches"].as_array().unwrap();
    let summary = caches.iter().find(|cache| cache["name"] == "pub").unwrap();
    assert_eq!(summary["paths"], 2);
    assert_eq!(summary["access"], "public");
    assert_eq!(summary["url"], "http://pub.cachix.test");
    assert_eq!(summary["public_keys"][0], site.public_key("pub"));
    let sum = |size: fn(&Path) -> usize| paths.iter().map(size).sum::<usize>() as u64;
    assert_eq!(summary["file_bytes"].as_u64(), Some(sum(|path| path.file.len())));
    assert_eq!(summary["nar_bytes"].as_u64(), Some(sum(|path| path.nar.len())));

    let storages = status["storages"].as_array().unwrap();
    let storage = storages.iter().find(|storage| storage["cache"] == "pub").unwrap();
    assert_eq!(storage["name"], "disk");
    assert_eq!(storage["kind"], "local");
    assert_eq!(storage["state"], "ok");
    assert_eq!(storage["used_bytes"].as_u64(), Some(sum(|path| path.file.len())));
    assert!(storage["free_bytes"].as_u64().unwrap() > 0);
    // The same as text.
    let text = site.cachectl_ok(&["status"]);
    assert!(text.contains("my-cache-2") && text.contains("disk"), "{text}");
}

#[test]
fn caches_are_listed_and_described() {
    let site = Site::start();
    let caches = json(&site, &["cache", "list"]);
    let mut names: Vec<&str> =
        caches.as_array().unwrap().iter().map(|cache| cache["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["my-cache-2", "priv", "pub", "self"]);

    let info = json(&site, &["cache", "info", "priv"]);
    assert_eq!(info["name"], "priv");
    assert_eq!(info["access"], "private");
    assert_eq!(info["compression"], "zstd");
    assert_eq!(info["port"], site.port("priv"));
    assert_eq!(info["keys"][0]["public_key"], site.public_key("priv"));
    assert!(!site.cachectl(&["cache", "info", "nope"]).status.success());
    assert!(site.cachectl_ok(&["cache", "info", "priv"]).contains("priv"));
}

#[test]
fn a_path_is_described() {
    let site = Site::start();
    let dependency = Path::small("dependency");
    let path = Path::small("described").referring_to([dependency.base_name()]);
    site.pusher("pub").push(&path);
    for spelling in [path.hash.clone(), path.base_name(), path.store_path()] {
        let info = json(&site, &["path", "info", &spelling, "--cache", "pub"]);
        assert_eq!(info["store_path"], path.store_path());
        assert_eq!(info["nar_hash"], path.nar_hash());
        assert_eq!(info["nar_size"], path.nar.len());
        assert_eq!(info["file_size"], path.file.len());
        assert_eq!(info["references"][0], dependency.base_name());
        assert_eq!(info["storage"], "disk");
        assert_eq!(info["damaged"], false);
    }
    assert!(site.cachectl_ok(&["path", "info", &path.hash]).contains("described"), "in any cache");
    assert_eq!(site.cachectl(&["path", "info", &random_hash()]).status.code(), Some(5), "not found");
    assert_eq!(site.cachectl(&["path", "info", &path.hash, "--cache", "priv"]).status.code(), Some(5));
}

#[test]
fn a_name_arrives_as_it_was_typed() {
    let site = Site::start();
    for name in ["a/b", "../tokens", "a b?c#d", "50%", "50%25", "ü€", ""] {
        for (arguments, kind) in
            [(["cache", "info"], "cache"), (["agent", "info"], "agent"), (["worker", "pause"], "worker")]
        {
            let output = site.cachectl(&[&arguments[..], &[name]].concat());
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(5), "{complaint}");
            assert!(complaint.contains(&format!("there is no {kind} called `{name}`")), "{complaint}");
        }
    }
}

#[test]
fn an_absent_daemon_is_distinguished_from_other_failures() {
    let mut site = Site::start();
    assert!(site.daemon().terminate().success());
    let output = site.cachectl(&["status"]);
    assert_eq!(output.status.code(), Some(3));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("admin.sock"), "{complaint}");
    assert!(output.stdout.is_empty());

    // The socket of a killed daemon does not block a new one.
    site.restart();
    site.daemon().kill9();
    assert_eq!(site.cachectl(&["status"]).status.code(), Some(3));
    site.restart();
    site.cachectl_ok(&["status"]);
}
