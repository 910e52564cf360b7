//! `GET /api/v1/cache/NAME`: tests 1 to 11.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::site::HOST;
use crate::harness::{Permission, Response, Site};

fn cache_info(site: &Site, cache: &str, token: &str) -> Response {
    site.api().get(&format!("/api/v1/cache/{cache}")).bearer(token).send()
}

#[test]
fn t01_a_public_cache_describes_itself_to_an_empty_bearer() {
    let site = Site::start();
    let info = cache_info(&site, "pub", "").expect(200).json();
    let mut keys: Vec<&str> = info.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "githubUsername",
        "isPublic",
        "name",
        "permission",
        "preferredCompressionMethod",
        "publicSigningKeys",
        "uri",
    ];
    assert_eq!(keys, expected);
    assert_eq!(info["name"], "pub");
    assert_eq!(info["uri"], format!("http://pub.{HOST}"));
    assert_eq!(info["isPublic"], true);
    assert_eq!(info["permission"], "Read");
    assert!(info["githubUsername"].is_string());

    let [key] = info["publicSigningKeys"].as_array().unwrap().as_slice() else { panic!("one key: {info}") };
    let (name, public) = key.as_str().unwrap().split_once(':').unwrap();
    assert_eq!(name, format!("pub.{HOST}-1"));
    assert_eq!(STANDARD.decode(public).unwrap().len(), 32);
}

#[test]
fn t02_no_authorization_header_is_as_good_as_an_empty_one() {
    let site = Site::start();
    let with = cache_info(&site, "pub", "").expect(200).json();
    let without = site.api().get("/api/v1/cache/pub").send().expect(200).json();
    assert_eq!(with, without);
    // Some HTTP libraries trim the blank after the scheme.
    let trimmed =
        site.api().get("/api/v1/cache/pub").header("Authorization", "Bearer").send().expect(200).json();
    assert_eq!(with, trimmed);
}

#[test]
fn t03_a_bare_question_mark_changes_nothing() {
    let site = Site::start();
    let plain = site.api().get("/api/v1/cache/pub").send().expect(200).json();
    let marked = site.api().get("/api/v1/cache/pub?").send().expect(200).json();
    assert_eq!(plain, marked);
}

#[test]
fn t04_an_unknown_cache_is_404() {
    let site = Site::start();
    cache_info(&site, "nope", &site.token("pub", Permission::Write)).expect(404);
    cache_info(&site, "nope", "").expect(404);
}

#[test]
fn t05_a_private_cache_is_401_without_a_token() {
    let site = Site::start();
    cache_info(&site, "priv", "").expect(401);
    site.api().get("/api/v1/cache/priv").send().expect(401);
}

#[test]
fn t06_a_bad_token_is_401_with_a_reason_to_read() {
    let site = Site::start();
    let foreign = site.token("pub", Permission::Write);
    // One that is no token at all, one of another cache, one with a damaged signature.
    let own = site.token("priv", Permission::Read);
    let damaged = format!("{}{}", &own[..own.len() - 4], if own.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    for token in ["recorded-wrong-token", foreign.as_str(), damaged.as_str()] {
        let reply = cache_info(&site, "priv", token).expect(401);
        let kind = reply.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("text/plain"), "{kind}");
        assert!(reply.text().trim().len() > 10, "a reason: {:?}", reply.text());
    }
}

#[test]
fn t07_a_read_token_opens_a_private_cache() {
    let site = Site::start();
    let info = cache_info(&site, "priv", &site.token("priv", Permission::Read)).expect(200).json();
    assert_eq!(info["isPublic"], false);
    assert_eq!(info["permission"], "Read");
    assert_eq!(info["name"], "priv");
    assert_eq!(info["uri"], format!("http://priv.{HOST}"));
}

#[test]
fn t08_basic_with_the_token_as_password_is_accepted() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    site.api().get("/api/v1/cache/priv").basic("", &token).send().expect(200);
    site.api().get("/api/v1/cache/priv").basic("somebody", &token).send().expect(200);
}

#[test]
fn t09_hyphens_and_digits_are_part_of_a_name() {
    let site = Site::start();
    let info = cache_info(&site, "my-cache-2", "").expect(200).json();
    assert_eq!(info["name"], "my-cache-2");
    assert_eq!(info["uri"], format!("http://my-cache-2.{HOST}"));
}

#[test]
fn t10_the_api_answers_the_same_under_every_name() {
    let site = Site::start();
    let ask = |host: &str| -> Value {
        site.on_host(host).get("/api/v1/cache/pub").bearer("").send().expect(200).json()
    };
    let expected = ask(HOST);
    assert_eq!(ask(&format!("pub.{HOST}")), expected);
    assert_eq!(ask(&format!("api.{HOST}")), expected);
    assert_eq!(ask(&format!("priv.{HOST}")), expected);
    assert_eq!(ask("127.0.0.1"), expected);
}

#[test]
fn t11_permission_and_compression_are_spelled_as_the_client_spells_them() {
    let site = Site::with(|config| config["caches"][3]["compression"] = json!("xz"));
    for (permission, spelling) in
        [(Permission::Read, "Read"), (Permission::Write, "Write"), (Permission::Admin, "Admin")]
    {
        let info = cache_info(&site, "pub", &site.token("pub", permission)).expect(200).json();
        assert_eq!(info["permission"], spelling);
        assert_eq!(info["preferredCompressionMethod"], "ZSTD");
    }
    assert_eq!(cache_info(&site, "my-cache-2", "").expect(200).json()["preferredCompressionMethod"], "XZ");
}
