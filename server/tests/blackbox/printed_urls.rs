//! The URLs that the daemon prints are the ones that work.

use std::net::{SocketAddr, ToSocketAddrs};

use serde_json::{Value, json};

use crate::harness::{Endpoint, Permission, Site};

/// A site that listens on `hostname`, behind no proxy.
fn listening_on(hostname: &str) -> Site {
    Site::with(|config| {
        config["server"]["hostname"] = json!(hostname);
        config["server"].as_object_mut().unwrap().remove("public-url");
        // Reachable on `server-port` only, by its path.
        config["caches"][3].as_object_mut().unwrap().remove("port");
        config["server"]["default-port"] = config["server"]["server-port"].clone();
    })
}

fn info(site: &Site, cache: &str) -> Value {
    serde_json::from_str(&site.cachectl_ok(&["cache", "info", cache, "--json"])).unwrap()
}

/// What the doctor says, whatever else it finds.
fn doctor(site: &Site) -> String {
    String::from_utf8(site.cachectl(&["doctor"]).stdout).unwrap()
}

/// Every line that a person is told to type.
fn lines(info: &Value) -> Vec<String> {
    let steps = info["setup"].as_array().unwrap().iter();
    let lines = steps.flat_map(|step| step["lines"].as_array().unwrap());
    lines.map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// The word behind `before` in one of the lines.
#[track_caller]
fn word_after(lines: &[String], before: &str) -> String {
    let rest = lines.iter().find_map(|line| line.split_once(before)).map(|(_, rest)| rest);
    let rest = rest.unwrap_or_else(|| panic!("{before:?} in {lines:#?}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Where a client gets to that is given this URL, and the path that it asks for.
#[track_caller]
fn follow(url: &str) -> (Endpoint, String) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url}"));
    let (host, path) =
        rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let addresses: Vec<SocketAddr> =
        host.to_socket_addrs().unwrap_or_else(|error| panic!("{url}: {error}")).collect();
    let endpoints = addresses.into_iter().map(|address| Endpoint { address, host: host.to_owned() });
    let reached = endpoints.into_iter().find(|endpoint| endpoint.connect().is_ok());
    (reached.unwrap_or_else(|| panic!("nobody listens at {url}")), path)
}

#[test]
fn urls_without_a_public_url_lead_to_the_daemon() {
    for hostname in ["127.0.0.1", "localhost", "0.0.0.0", "::"] {
        let site = listening_on(hostname);
        for cache in ["pub", "priv", "my-cache-2"] {
            let info = info(&site, cache);
            let lines = lines(&info);
            let token = site.token(cache, Permission::Read);

            let url = info["url"].as_str().unwrap();
            assert!(!url.contains("0.0.0.0") && !url.contains("[::]"), "{url}");
            assert_eq!(word_after(&lines, "substituters = "), url);
            let (substituter, path) = follow(url);
            substituter.get(&format!("{path}/nix-cache-info")).basic("", &token).send().expect(200);

            let (api, path) = follow(&word_after(&lines, "cachix config set hostname "));
            let known =
                api.get(&format!("{path}/api/v1/cache/{cache}")).bearer(&token).send().expect(200).json();
            assert_eq!(known["uri"], url, "the API says the same");
        }
    }
}

#[test]
fn urls_are_public_where_there_is_a_public_url_whatever_the_daemon_listens_on() {
    for hostname in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let site = Site::with(|config| {
            config["server"]["hostname"] = json!(hostname);
            config["server"]["public-url"] = json!("https://cache.example.org");
        });
        for cache in ["pub", "priv"] {
            let info = info(&site, cache);
            let lines = lines(&info);
            assert_eq!(info["url"], json!(format!("https://{cache}.cache.example.org")));
            assert_eq!(word_after(&lines, "substituters = "), format!("https://{cache}.cache.example.org"));
            assert_eq!(word_after(&lines, "cachix config set hostname "), "https://cache.example.org");
            assert!(lines.iter().all(|line| !line.contains("http://")), "{lines:#?}");
        }
        let status = site.cachectl_ok(&["cache", "list"]);
        assert!(status.contains("https://pub.cache.example.org") && !status.contains("http://"), "{status}");
    }
}

#[test]
fn a_private_cache_comes_with_a_line_for_netrc_and_with_what_cannot_work() {
    let by_name = Site::start();
    let lines_by_name = lines(&info(&by_name, "priv"));
    assert_eq!(word_after(&lines_by_name, "machine "), "priv.cachix.test");
    assert!(lines_by_name.iter().all(|line| !line.contains("`cachix use`")), "{lines_by_name:#?}");
    assert!(!doctor(&by_name).contains("`cachix use`"));

    let by_port = listening_on("127.0.0.1");
    let lines_by_port = lines(&info(&by_port, "priv"));
    assert_eq!(word_after(&lines_by_port, "machine "), "127.0.0.1", "netrc knows no ports");
    assert!(lines_by_port.iter().any(|line| line.contains("`cachix use`")), "{lines_by_port:#?}");
    let told = doctor(&by_port);
    assert!(told.contains("cache priv") && told.contains("machine 127.0.0.1 login"), "{told}");
    assert!(!told.contains("cache pub"), "{told}");
}
