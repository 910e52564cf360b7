//! What operators see of upstreams.

use std::time::Duration;

use serde_json::{Value, json};

use super::upstream::{Act, Upstream};
use crate::harness::{Path, SOON, Site, wait_for};

fn asking(entries: &Value) -> Site {
    Site::with(|config| {
        config["caches"][0]["upstreams"] = entries.clone();
        config["caches"][2]["upstreams"] = entries.clone();
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
    })
}

fn list(site: &Site) -> Vec<Value> {
    serde_json::from_str(&site.cachectl_ok(&["upstream", "list", "--json"])).unwrap()
}

#[test]
fn upstreams_are_listed_with_what_became_of_the_requests_to_them() {
    let upstream = Upstream::start();
    let (path, unsigned, lie) = (Path::small("there"), Path::small("unsigned"), Path::small("lie"));
    upstream.has(&path);
    upstream.on_narinfo(&unsigned, Act::Send(unsigned.narinfo_text().into_bytes()));
    upstream.has(&lie);
    upstream.on_nar(&lie, Act::Send(vec![0; lie.file.len()]));
    let site = asking(&json!([upstream.entry()]));
    let fresh = list(&site);
    assert_eq!(fresh.len(), 1, "{fresh:?}");
    assert_eq!((&fresh[0]["state"], &fresh[0]["caches"][1]["cache"]), (&json!("unknown"), &json!("self")));
    let reader = site.reader("pub");
    reader.assert_has(&path);
    assert_eq!(reader.narinfo_status(&Path::small("absent")), 404);
    assert_eq!(reader.narinfo_status(&unsigned), 404);
    let info = reader.narinfo(&lie);
    assert!(site.cache("pub").get(&format!("/{}", info.url)).try_send().is_err());
    let shown = wait_for(SOON, "the lie is noticed", || {
        let shown = list(&site).remove(0);
        (shown["quarantined"] == 1).then_some(shown)
    });
    assert_eq!((&shown["state"], &shown["access"]), (&json!("ok"), &json!("none")));
    assert_eq!((&shown["found"], &shown["absent"], &shown["unusable"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(shown["nars"], 2);
    assert!(shown["latency"].as_u64() > Some(0) && shown["nar_bytes"].as_u64() > Some(0), "{shown}");
    let text = site.cachectl_ok(&["upstream", "list"]);
    assert!(text.contains("quarantine") && text.contains(&lie.hash), "{text}");
    assert!(site.cachectl_ok(&["status"]).contains("quarantine"));
}

#[test]
fn a_breaker_that_is_open_is_shown_and_said_by_the_doctor() {
    let upstream = Upstream::start();
    let site = asking(&json!([upstream.entry()]));
    let reader = site.reader("pub");
    for _ in 0..3 {
        let path = Path::small("failing");
        upstream.on_narinfo(&path, Act::Status(500));
        assert_eq!(reader.narinfo_status(&path), 404);
    }
    let shown = list(&site).remove(0);
    assert_eq!((&shown["state"], &shown["failed"]), (&json!("breaker-open"), &json!(3)));
    assert!(shown["last_error"].as_str().unwrap().contains("500"), "{shown}");
    assert!(site.cachectl_ok(&["status"]).contains("breaker open"));
    let doctor = String::from_utf8(site.cachectl(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains(&upstream.url()) && doctor.contains("left alone"), "{doctor}");
}

#[test]
fn what_an_upstream_lacks_is_remembered_as_long_as_the_config_says() {
    let upstream = Upstream::start();
    let entry = |ttl: &str| json!([{"url": upstream.url(), "public-keys": upstream.public_key(), "negative-ttl": ttl}]);
    let site = asking(&entry("1h"));
    let path = Path::small("absent");
    let target = format!("/{}.narinfo", path.hash);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    // Another cache asks for itself, and the pusher as well.
    assert_eq!(site.reader("self").narinfo_status(&path), 404);
    assert_eq!(site.pusher("pub").missing(&[&path.hash]), [path.hash.as_str()]);
    assert_eq!(upstream.asked(&target), 1);
    let shown = list(&site).remove(0);
    assert_eq!((&shown["absent"], &shown["remembered_paths"]), (&json!(1), &json!(1)));
    assert!(shown["remembered"].as_u64() >= Some(2), "{shown}");
    // Another time is another entry, which has no memory.
    site.edit_config(|config| {
        config["caches"][0]["upstreams"] = entry("0s");
        config["caches"][2]["upstreams"] = entry("0s");
    });
    site.cachectl_ok(&["reload"]);
    upstream.has(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_slow_upstream_has_the_time_that_the_config_gives_it_and_the_next_one_is_asked_meanwhile() {
    let (slow, quick) = (Upstream::start(), Upstream::start());
    let site = asking(&json!([
        {"url": slow.url(), "public-keys": slow.public_key(), "lookup-timeout": "2s"},
        quick.entry(),
    ]));
    let path = Path::small("at-both");
    quick.has(&path);
    slow.on_narinfo(&path, Act::Hang);
    site.reader("pub").assert_has(&path);
    let both = list(&site);
    assert_eq!((&both[0]["hedged"], &both[1]["found"]), (&json!(1), &json!(1)), "{both:?}");
    // Alone it is given up after its time.
    let lost = Path::small("lost");
    slow.on_narinfo(&lost, Act::Late(Duration::from_secs(3), slow.narinfo(&lost).into_bytes()));
    assert_eq!(site.reader("pub").narinfo_status(&lost), 404);
    let shown = list(&site).remove(0);
    assert_eq!(shown["failed"], 1);
    assert!(shown["last_error"].as_str().unwrap().contains("no answer in time"), "{shown}");
}

#[test]
fn a_lookup_may_take_longer_than_usual_if_the_config_says_so() {
    let upstream = Upstream::start();
    let entry = json!({"url": upstream.url(), "public-keys": upstream.public_key(), "lookup-timeout": "20s"});
    let site = Site::with(|config| config["caches"][0]["upstreams"] = json!([entry]));
    let path = Path::small("late");
    upstream.has(&path);
    upstream.on_narinfo(&path, Act::Late(Duration::from_secs(7), upstream.narinfo(&path).into_bytes()));
    wait_for(SOON, "it is found", || match site.reader("pub").narinfo_status(&path) {
        200 => Some(()),
        status => {
            assert_eq!(status, 503);
            None
        }
    });
    assert_eq!(upstream.asked(&format!("/{}.narinfo", path.hash)), 1);
}

#[test]
fn the_first_upstream_of_the_list_is_asked_first() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let site = asking(&json!([first.entry(), second.entry()]));
    for _ in 0..5 {
        let path = Path::small("at-both");
        first.has(&path);
        second.has(&path);
        site.reader("pub").assert_has(&path);
        assert_eq!(first.asked(&format!("/{}", path.file_url())), 1);
        assert_eq!(second.asked(&format!("/{}", path.file_url())), 0);
    }
}

#[test]
fn metrics_tell_upstreams_apart() {
    let upstream = Upstream::start();
    let entry = upstream.entry();
    let [port] = crate::harness::ports::free();
    let site = Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["metrics-address"] = json!(format!("127.0.0.1:{port}"));
    });
    let path = Path::small("there");
    upstream.has(&path);
    site.reader("pub").assert_has(&path);
    let endpoint = crate::harness::Endpoint {
        address: (std::net::Ipv4Addr::LOCALHOST, port).into(),
        host: "localhost".to_owned(),
    };
    let text = endpoint.get("/metrics").send().expect(200).text().to_owned();
    let line =
        format!("cache_server_upstream_lookups_total{{upstream=\"{}/\",result=\"found\"}} 1", upstream.url());
    assert!(text.contains(&line), "{line} in {text}");
}
