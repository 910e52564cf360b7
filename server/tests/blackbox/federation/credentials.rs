//! Private upstreams: what they want to see, they get, and nobody else does.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::upstream::{Act, Upstream};
use crate::harness::{Path, SOON, Site, wait_for};

const SECRET: &str = "hunter2-hunter2";

/// A daemon with an upstream whose entry has these keys besides; `files` are beside the config.
fn asking(upstream: &Upstream, keys: &Value, files: &[(&str, &str)]) -> Site {
    let mut entry = json!({"url": upstream.url(), "public-keys": upstream.public_key()});
    entry.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Site::with_files(|config, directory| {
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
        config["server"]["log"] = json!({"filter": "debug"});
    })
}

/// Has a path, and another one whose NAR is elsewhere. Returns both, and the place where that NAR is.
fn with_paths(upstream: &Upstream) -> ([Path; 2], Upstream) {
    let elsewhere = Upstream::start();
    let (here, far) = (Path::small("here"), Path::small("far"));
    upstream.has(&here);
    upstream.has(&far);
    upstream.on_nar(&far, Act::Redirect(format!("{}/object", elsewhere.url())));
    // It would break off at the sight of an `Authorization` header.
    elsewhere.on("/object", Act::Send(far.file.clone()));
    ([here, far], elsewhere)
}

/// The secret is neither in the log nor in anything that operators see.
#[track_caller]
fn assert_is_secret(site: &mut Site, secret: &str) {
    for command in [&["upstream", "list", "--json"][..], &["status", "--json"], &["doctor", "--json"]] {
        let shown = site.cachectl(command);
        assert!(!String::from_utf8_lossy(&shown.stdout).contains(secret), "{command:?}");
    }
    assert!(!site.daemon().log().contains(secret), "{}", site.daemon().log());
}

#[test]
fn a_private_upstream_gets_its_credentials_and_where_it_redirects_to_does_not() {
    let basic = |text: &str| format!("authorization: Basic {}", STANDARD.encode(text));
    let netrc =
        format!("machine elsewhere login x password y\nmachine 127.0.0.1 login me password {SECRET}\n");
    let headers = format!("# of the gateway\nX-Gateway: {SECRET}\n");
    let cases = [
        (json!({"token-file": "t"}), ("t", format!("{SECRET}\n")), format!("authorization: Bearer {SECRET}")),
        (
            json!({"user": "me", "password-file": "p"}),
            ("p", SECRET.to_owned()),
            basic(&format!("me:{SECRET}")),
        ),
        // As Cachix wants it.
        (json!({"password-file": "p"}), ("p", SECRET.to_owned()), basic(&format!(":{SECRET}"))),
        (json!({"netrc-file": "n"}), ("n", netrc), basic(&format!("me:{SECRET}"))),
        (json!({"headers-file": "h"}), ("h", headers), format!("x-gateway: {SECRET}")),
    ];
    for (keys, (name, text), wanted) in cases {
        let upstream = Upstream::start();
        upstream.wants(&wanted);
        let (paths, elsewhere) = with_paths(&upstream);
        let mut site = asking(&upstream, &keys, &[(name, &text)]);
        for path in &paths {
            site.reader("pub").assert_has(path);
        }
        assert!(!elsewhere.headers().is_empty(), "{keys}");
        assert!(
            elsewhere.headers().iter().all(|header| !header.contains(SECRET)),
            "{:?}",
            elsewhere.headers()
        );
        assert!(upstream.headers().contains(&wanted), "{keys}");
        let token = STANDARD.encode(format!("me:{SECRET}"));
        assert_is_secret(&mut site, SECRET);
        assert_is_secret(&mut site, &token);
    }
}

#[test]
fn a_redirect_within_the_upstream_takes_the_credentials_along() {
    let upstream = Upstream::start();
    upstream.wants(&format!("authorization: Bearer {SECRET}"));
    let path = Path::small("moved");
    upstream.has(&path);
    upstream.on_nar(&path, Act::Redirect("/moved".to_owned()));
    upstream.on("/moved", Act::Send(path.file.clone()));
    let site = asking(&upstream, &json!({"token-file": "t"}), &[("t", SECRET)]);
    site.reader("pub").assert_has(&path);
}

#[test]
fn credentials_of_one_cache_are_of_no_use_to_another() {
    let upstream = Upstream::start();
    upstream.wants(&format!("authorization: Bearer {SECRET}"));
    let path = Path::small("secret");
    upstream.has(&path);
    let (url, key) = (upstream.url(), upstream.public_key());
    let site = Site::with_files(|config, directory| {
        fs::write(directory.join("token"), SECRET).unwrap();
        let entry = json!({"url": url, "public-keys": key, "token-file": "token"});
        config["caches"].as_array_mut().unwrap().iter_mut().for_each(|cache| match cache["name"].as_str() {
            Some("priv") => cache["upstreams"] = json!([entry]),
            Some("pub") => cache["upstreams"] = json!([format!("{url} {key}")]),
            _ => {}
        });
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
    });
    let token = site.token("priv", crate::harness::Permission::Read);
    site.reader("priv").with_token(&token).assert_has(&path);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    // They are two upstreams, one of which does not let us in.
    let list: Value = serde_json::from_str(&site.cachectl_ok(&["upstream", "list", "--json"])).unwrap();
    let state = |cache: &str| {
        let is_of = |upstream: &&Value| upstream["caches"][0]["cache"] == cache;
        list.as_array().unwrap().iter().find(is_of).unwrap()["state"].clone()
    };
    assert_eq!((state("priv"), state("pub")), (json!("ok"), json!("refusing")));
}

#[test]
fn a_secret_that_is_not_there_is_told_and_read_once_it_is() {
    let upstream = Upstream::start();
    upstream.wants(&format!("authorization: Bearer {SECRET}"));
    let path = Path::small("later");
    upstream.has(&path);
    let site = asking(&upstream, &json!({"token-file": "later"}), &[]);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    let list = site.cachectl_ok(&["upstream", "list"]);
    assert!(list.contains("refusing") && list.contains("later"), "{list}");
    let doctor = site.cachectl(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(9));
    assert!(!site.cachectl(&["upstream", "check"]).status.success());
    fs::write(site.directory().join("later"), SECRET).unwrap();
    wait_for(SOON, "the secret is read", || (site.reader("pub").narinfo_status(&path) == 200).then_some(()));
    let list = site.cachectl_ok(&["upstream", "list"]);
    assert!(!list.contains("refusing"), "{list}");
}

#[test]
fn a_check_of_the_upstreams_says_which_of_them_let_us_in() {
    let (good, closed) = (Upstream::start(), Upstream::start());
    good.on("/nix-cache-info", Act::Send(b"StoreDir: /nix/store\nWantMassQuery: 1\n".to_vec()));
    closed.wants("authorization: Bearer right");
    let (good_entry, closed_url) = (good.entry(), closed.url());
    let site = Site::with_files(|config, directory| {
        fs::write(directory.join("token"), "wrong").unwrap();
        config["caches"][0]["upstreams"] = json!([good_entry, {"url": closed_url, "token-file": "token"}]);
    });
    let checked = site.cachectl(&["upstream", "check", "--json"]);
    assert_eq!(checked.status.code(), Some(9));
    let checks: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checks[0]["error"], Value::Null);
    assert!(checks[1]["error"].as_str().unwrap().contains("401"), "{checks}");
}
