//! What operators see of the network.

use serde_json::{Value, json};

use super::network::{soon_finds, start};
use crate::harness::{Path, SOON, Site, wait_for};

fn json(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&site.cachectl_ok(&[arguments, &["--json"]].concat())).unwrap()
}

/// The other nodes, once there are so many and each has told what it holds.
fn peers(site: &Site, count: usize) -> Vec<Value> {
    wait_for(SOON, "the others are known", || {
        let peers = json(site, &["peer", "list"]).as_array().unwrap().clone();
        (peers.len() == count && peers.iter().all(|peer| peer["digest_age"].is_u64())).then_some(peers)
    })
}

#[test]
fn nodes_are_listed_and_answer() {
    let mut sites = start(3);
    let others = peers(&sites[0], 2);
    let mut urls: Vec<_> = others.iter().map(|peer| peer["url"].as_str().unwrap().to_owned()).collect();
    let url = |site: &Site| format!("http://127.0.0.1:{}/", site.port("api"));
    let mut expected = vec![url(&sites[1]), url(&sites[2])];
    urls.sort();
    expected.sort();
    assert_eq!(urls, expected);
    for peer in &others {
        let mut caches: Vec<_> = peer["caches"].as_array().unwrap().clone();
        caches.sort_by_key(Value::to_string);
        assert_eq!(caches, ["my-cache-2", "pub", "self"]);
        assert_eq!(peer["shunned_for"], Value::Null);
        assert!(peer["last_seen"].as_u64().unwrap() > 1_700_000_000 && peer["free"].as_u64().unwrap() > 0);
    }
    let path = Path::small("read");
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    let of = |site: &Site, url: &str| peers(site, 2).into_iter().find(|peer| peer["url"] == url).unwrap();
    assert!(of(&sites[0], &url(&sites[1]))["latency"].as_u64().unwrap() > 0);
    let pings = json(&sites[0], &["peer", "ping"]);
    assert!(pings.as_array().unwrap().iter().all(|ping| ping["latency"].as_u64().unwrap() > 0), "{pings}");
    assert!(sites[0].cachectl_ok(&["peer", "list"]).contains(&url(&sites[1])));

    let gone = url(&sites[2]);
    let id = of(&sites[0], &gone)["node"].as_str().unwrap().to_owned();
    sites[2].daemon().kill9();
    let output = sites[0].cachectl(&["peer", "ping", &id[..8]]);
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    assert_eq!(sites[0].cachectl(&["peer", "ping", "zz"]).status.code(), Some(5));
}

#[test]
fn the_dht_can_be_looked_into() {
    let sites = start(2);
    let path = Path::small("announced");
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    let here = json(&sites[1], &["dht", "status"]);
    assert_eq!(here["nodes"].as_array().unwrap().len(), 1);
    assert!(here["announcing"]["written"].as_u64().unwrap() >= 1, "{here}");
    let id = here["node"].as_str().unwrap();

    let holdings = json(&sites[0], &["dht", "get", &format!("/nix/store/{}", path.base_name())]);
    let holding = &holdings["content"]["providers"][0];
    assert_eq!((&holding["node"], &holding["cache"]), (&json!(id), &json!("pub")));
    let node = json(&sites[0], &["dht", "get", &format!("n:{id}")]);
    assert_eq!(node["content"]["node"]["url"], format!("http://127.0.0.1:{}/", sites[1].port("api")));
    let is_member = (0..4).any(|shard| {
        let output = sites[0].cachectl(&["dht", "get", &format!("m:{shard}"), "--json"]);
        String::from_utf8(output.stdout).unwrap().contains(id)
    });
    assert!(is_member);

    assert_eq!(sites[0].cachectl(&["dht", "get", "x:hello"]).status.code(), Some(5));
    sites[0].cachectl_ok(&["dht", "put", "x:hello", "from the first node"]);
    let note = json(&sites[1], &["dht", "get", "x:hello"]);
    assert_eq!(note["content"]["note"]["text"], "from the first node");
    // Nobody writes for others, and nothing too long.
    let long = "x".repeat(1000);
    let foreign = format!("p:{}", path.hash);
    for arguments in [[foreign.as_str(), "me"], ["x:long", &long], ["x:", "nameless"], ["y:1", "unknown"]] {
        let output = sites[0].cachectl(&["dht", "put", arguments[0], arguments[1]]);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
    }
}

#[test]
fn the_announcer_is_one_of_the_workers() {
    let sites = start(2);
    let path = Path::small("announced");
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    wait_for(SOON, "all is announced", || {
        let work = json(&sites[1], &["worker", "list"]);
        let workers = work["workers"].as_array().unwrap();
        let announcer = workers.iter().find(|worker| worker["name"] == "announcer").unwrap();
        (announcer["state"] == "idle" && announcer["progress"].is_null()).then_some(())
    });
}

#[test]
fn a_daemon_that_stays_alone_says_so() {
    let site = Site::start();
    for arguments in [&["peer", "list"][..], &["dht", "status"], &["dht", "get", "m:0"]] {
        let output = site.cachectl(arguments);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("standalone"));
    }
    let work = json(&site, &["worker", "list"]);
    assert!(work["workers"].as_array().unwrap().iter().all(|worker| worker["name"] != "announcer"));
}

#[test]
fn a_reload_changes_the_key_of_the_network() {
    let key_file = |site: &Site| site.directory().join("network-key");
    let sites = super::network::start_with(2, |_, config| {
        config["server"]["key"] = json!("6b".repeat(32));
    });
    let take = |site: &Site, key: &str| {
        std::fs::write(key_file(site), key).unwrap();
        let file = key_file(site);
        site.edit_config(|config| config["server"]["dht-network-key-file"] = json!(file));
        site.cachectl_ok(&["reload"]);
    };
    let (first, second) = (Path::small("before"), Path::small("after"));
    sites[1].pusher("pub").push(&first);
    soon_finds(&sites[0], "pub", &first);
    let secret = "a secret of all nodes, long enough not to be guessed";
    take(&sites[0], secret);
    take(&sites[1], secret);
    sites[1].pusher("pub").push(&second);
    soon_finds(&sites[0], "pub", &second);
    // A file that cannot be read changes nothing.
    sites[0].edit_config(|config| config["server"]["dht-network-key-file"] = json!("/nowhere"));
    let output = sites[0].cachectl(&["reload"]);
    assert!(!output.status.success() && String::from_utf8(output.stderr).unwrap().contains("/nowhere"));
    sites[0].reader("pub").assert_has(&second);
}
