//! Certificates of clients, mapped to permissions as claims are.

use serde_json::{Value, json};

use crate::harness::site::HOST;
use crate::harness::{Permission, Site};
use crate::tls::{Authority, Kind, authority, curl, secure_site};

/// A site that knows the builders of the example by their certificates.
fn site() -> Site {
    secure_site(|config, directory| {
        let authority = Authority::at(&directory.join("clients"));
        config["server"]["tls"]["client-authorities"] = json!(authority.certificate());
        config["client-certificates"] = json!([
            {"claims": {"dns": "*.builders.test"}, "caches": ["priv"], "permission": "write"},
            {"claims": {"uri": "spiffe://acme/**"}, "caches": ["priv"], "permission": "read"},
        ]);
    })
}

/// The status of a request with a certificate for these names of this authority.
fn ask(
    site: &Site,
    authority: &Authority,
    names: &[&str],
    method: &str,
    path: &str,
    more: &[&str],
) -> String {
    let files = ["client.pem", "client.key"].map(|name| site.directory().join(name));
    authority.issue(Kind::Client, names, 30, &files[0], &files[1]);
    let [certificate, key] = files.each_ref().map(|file| file.to_str().unwrap());
    let mut arguments = vec![
        "--cert",
        certificate,
        "--key",
        key,
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "-X",
        method,
    ];
    arguments.extend(more);
    let output = curl(site, &arguments, HOST, path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_certificate_opens_what_its_rule_says() {
    let site = site();
    let clients = Authority::at(&site.directory().join("clients"));
    let read = |names: &[&str]| ask(&site, &clients, names, "GET", "/api/v1/cache/priv", &[]);
    let push = |names: &[&str], cache: &str| {
        let path = format!("/api/v1/cache/{cache}/multipart-nar?compression=zst");
        ask(&site, &clients, names, "POST", &path, &["--data", ""])
    };
    assert_eq!(read(&["one.builders.test"]), "200");
    assert_eq!(push(&["one.builders.test"], "priv"), "200");
    assert_eq!(push(&["one.builders.test"], "pub"), "401");
    assert_eq!(read(&["reader", "spiffe://acme/teams/web"]), "200");
    assert_eq!(push(&["reader", "spiffe://acme/teams/web"], "priv"), "401");
    for names in [&["builders.test"][..], &["one.builders.test.evil"], &["x", "spiffe://evil/acme/"]] {
        assert_eq!(read(names), "401", "{names:?}");
    }
    // Whoever comes without one is served as before.
    let token = format!("Authorization: Bearer {}", site.token("priv", Permission::Read));
    let plain = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let with_token = [&plain[..], &["-H", &token]].concat();
    let status = |arguments: &[&str]| {
        let output = curl(&site, arguments, HOST, "/api/v1/cache/priv").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!((status(&plain).as_str(), status(&with_token).as_str()), ("401", "200"));
    // A token goes before a certificate, also a wrong one.
    let wrong = ["-H", "Authorization: Bearer wrong"];
    assert_eq!(ask(&site, &clients, &["one.builders.test"], "GET", "/api/v1/cache/priv", &wrong), "401");
    let list: Value = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    let is_certificate =
        |token: &Value| token["subject"].as_str().is_some_and(|text| text.starts_with("certificate: "));
    assert!(list.as_array().unwrap().iter().any(is_certificate), "{list}");
}

#[test]
fn a_certificate_of_another_authority_does_not_get_a_connection() {
    let site = site();
    let stranger = authority(&site);
    assert_eq!(ask(&site, &stranger, &["one.builders.test"], "GET", "/api/v1/cache/priv", &[]), "000");
}
