//! Tokens: what they open, what they do not, and how they end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Path, Permission, SOON, Site, random_bytes, to_hex, wait_for};

/// The status of asking for the cache's JSON with a token.
fn opens(site: &Site, cache: &str, token: &str) -> u16 {
    site.api().get(&format!("/api/v1/cache/{cache}")).bearer(token).send().status
}

/// The status of starting an upload with a token.
fn writes(site: &Site, cache: &str, token: &str) -> u16 {
    let target = format!("/api/v1/cache/{cache}/multipart-nar?compression=zst");
    site.api().post(&target).bearer(token).body("").send().status
}

#[test]
fn a_token_opens_its_caches_and_no_other() {
    let site = Site::with(|config| config["caches"][3]["access"] = json!("private"));
    let own = site.token("priv", Permission::Write);
    assert_eq!(opens(&site, "priv", &own), 200);
    assert_eq!(opens(&site, "my-cache-2", &own), 401);
    assert_eq!(writes(&site, "my-cache-2", &own), 401);

    let both = site.create_token(&["--cache", "priv", "--cache", "my-cache-2", "--permission", "read"]);
    assert_eq!(opens(&site, "priv", &both), 200);
    assert_eq!(opens(&site, "my-cache-2", &both), 200);
    assert_eq!(writes(&site, "priv", &both), 401);

    let all = site.create_token(&["--all", "--permission", "write"]);
    for cache in ["pub", "priv", "self", "my-cache-2"] {
        assert_eq!(opens(&site, cache, &all), 200);
        assert_eq!(writes(&site, cache, &all), 200);
    }
}

#[test]
fn permissions_include_those_below_them() {
    let site = Site::start();
    for (permission, may_write) in
        [(Permission::Read, false), (Permission::Write, true), (Permission::Admin, true)]
    {
        let token = site.token("priv", permission);
        assert_eq!(opens(&site, "priv", &token), 200);
        assert_eq!(writes(&site, "priv", &token), if may_write { 200 } else { 401 });
    }
}

/// netrc knows hosts and no ports, so Nix sends a private cache's token to every cache on the same host. The Cachix client
/// has one token for all caches.
#[test]
fn a_token_for_another_cache_is_ignored_on_a_public_cache() {
    let site = Site::with(|config| {
        config["workspaces"] = json!([{"name": "fleet", "cache": "priv"}]);
        config["agents"] = json!([{"name": "agent", "workspace": "fleet"}]);
    });
    let path = Path::small("public");
    site.pusher("pub").push(&path);
    let url = site.reader("pub").narinfo(&path).url;
    let valid = [
        site.token("priv", Permission::Read),
        site.token("priv", Permission::Admin),
        site.create_token(&["--workspace", "fleet", "--permission", "activate"]),
        site.cachectl_ok(&["agent", "token", "agent"]).trim().to_owned(),
    ];
    for token in valid.iter().map(String::as_str).chain(["recorded-wrong-token"]) {
        let is_valid = token != "recorded-wrong-token";
        for endpoint in [site.cache("pub"), site.cache_port("pub")] {
            for target in
                ["nix-cache-info", &format!("{}.narinfo", path.hash), &url, &format!("{}.ls", path.hash)]
            {
                endpoint.get(&format!("/{target}")).basic("", token).send().expect(200);
            }
            endpoint.get("/log/x.drv").basic("", token).send().expect(404);
        }
        // A token that is not valid is refused by the API, so that its owner learns about it before a push fails.
        let expected = if is_valid { 200 } else { 401 };
        let info = site.api().get("/api/v1/cache/pub").bearer(token).send().expect(expected);
        if is_valid {
            assert_eq!(info.json()["permission"], "Read");
        }
        assert_eq!(site.api().head("/api/v1/cache/pub").bearer(token).send().status, expected);
        for body in [json!([]), json!([path.hash, "0".repeat(32)])] {
            let query = site.api().post("/api/v1/cache/pub/narinfo").bearer(token).json(&body);
            query.send().expect(expected);
        }
        assert_eq!(writes(&site, "pub", token), 401);
    }
}

#[test]
fn a_token_that_has_ended_is_refused_on_a_public_cache_too() {
    let site = Site::start();
    let [expired, revoked] = ["5s", "1h"].map(|expiry| {
        site.create_token(&[
            "--cache",
            "priv",
            "--permission",
            "read",
            "--subject",
            expiry,
            "--expires",
            expiry,
        ])
    });
    assert_eq!([&expired, &revoked].map(|token| opens(&site, "pub", token)), [200, 200]);
    let list = token_list(&site);
    let id = list.iter().find(|token| token["subject"] == "1h").unwrap()["id"].as_str().unwrap();
    site.cachectl_ok(&["token", "revoke", id]);
    assert_eq!(opens(&site, "pub", &revoked), 401);
    wait_for(SOON, "the token expires", || (opens(&site, "pub", &expired) == 401).then_some(()));
}

#[test]
fn an_expired_token_opens_nothing() {
    let site = Site::start();
    let token = site.create_token(&["--cache", "priv", "--permission", "read", "--expires", "5s"]);
    assert_eq!(opens(&site, "priv", &token), 200);
    wait_for(SOON, "the token expires", || (opens(&site, "priv", &token) == 401).then_some(()));
    site.cache("priv").get("/nix-cache-info").basic("", &token).send().expect(401);
}

fn token_list(site: &Site) -> Vec<Value> {
    serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap()
}

#[test]
fn a_revoked_token_opens_nothing_from_then_on() {
    let mut site = Site::start();
    let keep = site.token("priv", Permission::Read);
    let revoke = site.create_token(&["--cache", "priv", "--permission", "write", "--subject", "to-revoke"]);
    assert_eq!(opens(&site, "priv", &revoke), 200);
    let list = token_list(&site);
    let id =
        list.iter().find(|token| token["subject"] == "to-revoke").unwrap()["id"].as_str().unwrap().to_owned();
    site.cachectl_ok(&["token", "revoke", &id]);
    assert_eq!(opens(&site, "priv", &revoke), 401);
    assert_eq!(writes(&site, "priv", &revoke), 401);
    site.crash_and_restart();
    assert_eq!(opens(&site, "priv", &revoke), 401);
    assert_eq!(opens(&site, "priv", &keep), 200);
    let list = token_list(&site);
    assert!(list.iter().find(|token| token["id"] == *id).unwrap()["revoked_at"].is_i64());
    assert!(!site.cachectl(&["token", "revoke", "00000000-0000-4000-8000-000000000000"]).status.success());
}

#[test]
fn lists_never_show_the_token_itself() {
    let site = Site::start();
    let token = site.token("priv", Permission::Write);
    let secret = token.rsplit('.').next().unwrap();
    for arguments in [&["token", "list"][..], &["token", "list", "--json"], &["status", "--json"]] {
        assert!(!site.cachectl_ok(arguments).contains(secret), "{arguments:?}");
    }
}

#[test]
fn tokens_outlive_a_crash() {
    let mut site = Site::start();
    let token = site.token("priv", Permission::Write);
    site.crash_and_restart();
    assert_eq!(opens(&site, "priv", &token), 200);
    assert_eq!(writes(&site, "priv", &token), 200);
}

#[test]
fn a_token_of_another_server_opens_nothing() {
    let ours = Site::start();
    let theirs = Site::with(|config| config["server"]["key"] = json!(to_hex(&random_bytes::<32>())));
    let token = theirs.token("priv", Permission::Admin);
    assert_eq!(opens(&theirs, "priv", &token), 200);
    assert_eq!(opens(&ours, "priv", &token), 401);

    // With the same key the signature is good, but no such token was ever made here.
    let twin = Site::start();
    let token = twin.token("priv", Permission::Admin);
    assert_eq!(opens(&twin, "priv", &token), 200);
    assert_eq!(opens(&ours, "priv", &token), 401);
}

#[test]
fn a_forged_token_opens_nothing() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    let [_, claims, signature] = <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).expect("a JWT");
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = encode(&json!({"alg": "none", "typ": "JWT"}));
    let hs256 = encode(&json!({"alg": "HS256", "typ": "JWT"}));
    let mut raised: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    for claim in raised.as_object_mut().unwrap().values_mut() {
        if claim == "read" {
            *claim = json!("admin");
        }
    }
    let raised = encode(&raised);
    let forged = [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{hs256}.{raised}.{signature}"),
        format!("{hs256}.{claims}."),
        format!("{hs256}.{claims}"),
        format!("{hs256}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 32])),
        token.to_uppercase(),
        format!("{token}A"),
        format!("{token}."),
        token.chars().rev().collect(),
        "x".repeat(7000),
    ];
    for forged in forged {
        assert_eq!(opens(&site, "priv", &forged), 401, "{forged}");
    }
    assert_eq!(opens(&site, "priv", &token), 200);
}

#[test]
fn creating_a_token_prints_the_token_and_nothing_else() {
    let site = Site::start();
    let output =
        site.cachectl(&["token", "create", "--cache", "pub", "--permission", "write", "--expires", "90d"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let token = text.strip_suffix('\n').unwrap();
    assert!(!token.contains(char::is_whitespace), "{text:?}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(writes(&site, "pub", token), 200);
}

#[test]
fn a_token_for_an_unknown_cache_is_not_made() {
    let site = Site::start();
    let output = site.cachectl(&["token", "create", "--cache", "nope", "--permission", "write"]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nope"));
    assert!(token_list(&site).is_empty());
}

#[test]
fn who_pushed_a_path_is_known_after_a_restart_and_from_the_trash() {
    let mut site = Site::with(|config| config["server"]["trash"] = json!("24h"));
    let token = site.create_token(&["--cache", "pub", "--permission", "write", "--subject", "ci runner"]);
    let list: Value = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    let listed = list.as_array().unwrap().iter().find(|token| token["subject"] == "ci runner").unwrap();
    let expected = json!({ "token": listed["id"], "subject": "ci runner" });
    let path = Path::small("pushed");
    let mut pusher = site.pusher("pub");
    pusher.token.clone_from(&token);
    pusher.push(&path);
    let copied = Path::small("copied");
    let put = |target: String, body: Vec<u8>| {
        site.cache("pub").put(&target).basic("", &token).body(body).send().expect_success();
    };
    put(format!("/{}", copied.file_url()), copied.file.clone());
    put(format!("/{}.narinfo", copied.hash), copied.narinfo_text().into());
    let pushed_by = |site: &Site, path: &Path| -> Value {
        let text = site.cachectl_ok(&["path", "info", &path.hash, "--cache", "pub", "--json"]);
        serde_json::from_str::<Value>(&text).unwrap()["pushed_by"].clone()
    };
    assert_eq!(pushed_by(&site, &path), expected);
    assert_eq!(pushed_by(&site, &copied), expected);
    site.pusher("pub").push(&path);
    assert_eq!(pushed_by(&site, &path), expected, "the first push counts");
    site.cachectl_ok(&["path", "delete", &path.hash, "--cache", "pub"]);
    site.cachectl_ok(&["path", "restore", &path.hash, "--cache", "pub"]);
    site.crash_and_restart();
    assert_eq!(pushed_by(&site, &path), expected);
    site.cachectl_ok(&["token", "revoke", listed["id"].as_str().unwrap()]);
    assert_eq!(pushed_by(&site, &path)["token"], listed["id"]);
}
