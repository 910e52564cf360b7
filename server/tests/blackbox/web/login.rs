//! A token is pasted once, and a cookie stands for it from then on.

use serde_json::{Value, json};

use super::{asking, check};
use crate::harness::{Permission, Request, Response, SOON, Site, wait_for};

fn form(site: &Site, token: &str) -> Request {
    let body = format!("token={token}&next=%2Fcache%2Fpriv");
    site.api().post("/login").header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

/// Logs in and returns the cookie, `NAME=VALUE`.
#[track_caller]
fn log_in(site: &Site, token: &str) -> String {
    let reply = form(site, token).send().expect(303);
    assert_eq!(reply.header("Location"), Some("./cache/priv"));
    let cookie = reply.header("Set-Cookie").expect("a cookie");
    cookie.split(';').next().unwrap().to_owned()
}

fn look(site: &Site, target: &str, cookie: &str) -> Response {
    asking(&site.api(), target).header("Cookie", cookie).send()
}

#[test]
fn a_session_opens_what_its_token_opens_and_pages_alone() {
    let mut site = Site::start();
    let cookie = log_in(&site, &site.token("priv", Permission::Read));
    look(&site, "/cache/priv", &cookie).expect(200);
    look(&site, "/server", &cookie).expect(401);
    asking(&site.api(), "/cache/priv").send().expect(404);
    for target in ["/api/v1/cache/priv", "/api/v1/cache/priv/nix-cache-info"] {
        look(&site, target, &cookie).expect(401);
    }
    let other = format!("{}0", &cookie[..cookie.len() - 1]);
    if other != cookie {
        look(&site, "/cache/priv", &other).expect(404);
    }
    // It is known after a crash.
    site.crash_and_restart();
    let reply = look(&site, "/cache/priv", &cookie).expect(200);
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    check("/cache/priv", &reply);
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    let cookie = |request: Request| request.send().expect(303).header("Set-Cookie").unwrap().to_owned();
    let plain = cookie(form(&site, &token));
    for attribute in ["HttpOnly", "SameSite=Strict", "Max-Age=43200"] {
        assert!(plain.split("; ").any(|found| found == attribute), "{plain}");
    }
    assert!(!plain.contains("Secure") && !plain.contains("Domain"), "{plain}");
    assert!(!plain.contains(&token), "the token itself is not in the browser");
    assert!(cookie(form(&site, &token).header("X-Forwarded-Proto", "https")).contains("; Secure"));
    let secure = Site::with(|config| config["server"]["public-url"] = json!("https://cachix.test"));
    assert!(cookie(form(&secure, &secure.token("priv", Permission::Read))).contains("; Secure"));
}

#[test]
fn a_session_ends_with_its_token_and_with_the_logout() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    let (first, second) = (log_in(&site, &token), log_in(&site, &token));
    let reply = site.api().post("/logout").header("Cookie", &first).send().expect(303);
    assert!(reply.header("Set-Cookie").unwrap().contains("Max-Age=0"));
    look(&site, "/cache/priv", &first).expect(404);
    look(&site, "/cache/priv", &second).expect(200);
    let tokens: Value = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    site.cachectl_ok(&["token", "revoke", tokens[0]["id"].as_str().unwrap()]);
    look(&site, "/cache/priv", &second).expect(404);
}

#[test]
fn a_session_ends_when_its_token_expires() {
    let site = Site::start();
    let token = site.create_token(&["--cache", "priv", "--permission", "read", "--expires", "2s"]);
    let cookie = log_in(&site, &token);
    wait_for(SOON, "the session has ended", || {
        (look(&site, "/cache/priv", &cookie).status == 404).then_some(())
    });
}

#[test]
fn a_token_has_only_so_many_sessions() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    let cookies: Vec<String> = (0..25).map(|_| log_in(&site, &token)).collect();
    let open = cookies.iter().filter(|cookie| look(&site, "/cache/priv", cookie).status == 200).count();
    assert_eq!(open, 20);
    look(&site, "/cache/priv", &cookies[24]).expect(200);
}

#[test]
fn wrong_tokens_are_refused_and_then_wait() {
    let site = Site::with(|config| config["server"]["trusted-proxies"] = json!(["127.0.0.1"]));
    let token = site.token("priv", Permission::Read);
    let from = |address: &str, token: &str| form(&site, token).header("X-Forwarded-For", address).send();
    for token in ["", "nonsense", "a.b.c", "<script>"] {
        let reply = from("192.0.2.1", token);
        check("/login", &reply);
        assert_eq!(reply.status, 403);
        assert!(reply.header("Set-Cookie").is_none());
        assert!(!reply.text().contains("<script>"));
    }
    for _ in 0..6 {
        from("192.0.2.1", "nonsense").expect(403);
    }
    let reply = from("192.0.2.1", &token).expect(429);
    assert!(reply.header("Retry-After").is_some());
    from("192.0.2.2", &token).expect(303);
}

#[test]
fn forms_of_other_sites_are_refused() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let reply = form(&site, &token).header(name, value).send().expect(403);
        assert!(reply.header("Set-Cookie").is_none());
        site.api().post("/logout").header(name, value).send().expect(403);
    }
    form(&site, &token).header("Origin", "http://cachix.test").send().expect(303);
    form(&site, &token).header("Sec-Fetch-Site", "same-origin").send().expect(303);
    // Nor does the login lead to other sites.
    let body = format!("token={token}&next=%2F%2Fevil.example");
    let reply = site.api().post("/login").body(body).send().expect(303);
    assert_eq!(reply.header("Location"), Some("./"));
}
