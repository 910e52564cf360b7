//! HTTP/2, which clients choose by ALPN.

use std::fmt::Write;
use std::fs;

use super::{authority, curl, curl_ok, secure_site};
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Permission, Site};

/// A machine with Nix that trusts the authority of the site.
fn nix_host(site: &Site, cache: &str, permission: Permission) -> NixHost {
    let token = site.token(cache, permission);
    let key = curl_ok(
        site,
        &["-H", &format!("Authorization: Bearer {token}")],
        HOST,
        &format!("/api/v1/cache/{cache}"),
    );
    let json: serde_json::Value = serde_json::from_str(&key).unwrap();
    let keys: Vec<String> = serde_json::from_value(json["publicSigningKeys"].clone()).unwrap();
    NixHost::trusting(&keys).with_token(&format!("{cache}.{HOST}"), &token)
}

/// The same script with the authority of the site trusted.
fn trusting(site: &Site, script: &str) -> String {
    format!("export NIX_SSL_CERT_FILE={}; {script}", authority(site).certificate().display())
}

#[test]
fn curl_gets_http2_or_http1_as_it_likes() {
    let site = secure_site(|_, _| {});
    let version = ["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"];
    let host = format!("pub.{HOST}");
    assert_eq!(curl_ok(&site, &version, &host, "/nix-cache-info"), "2 200");
    let http1 = [&["--http1.1"], &version[..]].concat();
    assert_eq!(curl_ok(&site, &http1, &host, "/nix-cache-info"), "1.1 200");
    // The host names the cache over HTTP/2 as well, and an unknown one is none.
    assert_eq!(curl_ok(&site, &version, &format!("priv.{HOST}"), "/nix-cache-info"), "2 401");
    assert_eq!(curl_ok(&site, &version, HOST, "/nix-cache-info"), "2 404");
}

#[test]
fn a_request_that_names_two_hosts_is_refused_over_http2() {
    let site = secure_site(|_, _| {});
    let arguments =
        ["--output", "/dev/null", "--write-out", "%{http_code}", "-H", "Host: a.test", "-H", "Host: b.test"];
    let output = curl(&site, &arguments, &format!("pub.{HOST}"), "/nix-cache-info").output().unwrap();
    assert_ne!(String::from_utf8_lossy(&output.stdout), "200");
}

#[test]
fn many_requests_share_one_connection() {
    let site = secure_site(|_, _| {});
    let host = format!("pub.{HOST}");
    let port = site.port("api");
    let mut list = String::new();
    for number in 0..300 {
        let _ =
            writeln!(list, "url = \"https://{host}:{port}/nix-cache-info?{number}\"\noutput = \"/dev/null\"");
    }
    let file = site.directory().join("urls");
    fs::write(&file, list).unwrap();
    let arguments = [
        "--parallel",
        "--parallel-max",
        "50",
        "--config",
        file.to_str().unwrap(),
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{http_version} %{num_connects}\n",
    ];
    let printed = curl_ok(&site, &arguments, &host, "/nix-cache-info");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 301);
    assert!(lines.iter().all(|line| line.starts_with("200 2 ")), "{printed}");
    let connections: usize =
        lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    // curl opens some before it knows that they can be shared.
    assert!(connections <= 50, "{connections} connections for 301 requests");
}

#[test]
fn nix_copies_a_closure_over_http2_and_back() {
    let site = secure_site(|_, _| {});
    for cache in ["pub", "priv"] {
        let here = nix_host(&site, cache, Permission::Write);
        let there = nix_host(&site, cache, Permission::Read);
        let root = here.build_closure(20);
        let url = format!("https://{cache}.{HOST}:{}", site.port("api"));
        here.ok(&trusting(&site, &format!("nix copy --to {url} {root}")));
        there.ok(&trusting(&site, &format!("nix copy --from {url} {root}")));
        assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
        // Without the authority, Nix does not even ask.
        nix_host(&site, cache, Permission::Read).fails(&format!("nix copy --from {url} {root}"));
    }
    // Nix logs what it spoke.
    let here = nix_host(&site, "pub", Permission::Write);
    let root = here.build_closure(1);
    let url = format!("https://pub.{HOST}:{}", site.port("api"));
    let said = here.ok(&trusting(&site, &format!("nix copy -vvvvv --to {url} {root} 2>&1")));
    assert!(said.contains("HTTP/2"), "{said}");
}
