//! Private caches are not there for those who may not read them.

use serde_json::json;

use super::{asking, page};
use crate::harness::{Path, Permission, Site};

#[test]
fn a_private_cache_looks_like_one_that_does_not_exist() {
    let site = Site::with(|config| {
        config["workspaces"] = json!([{"name": "fleet", "cache": "priv"}]);
        config["agents"] = json!([{"name": "machine", "workspace": "fleet"}]);
    });
    let path = Path::small("secret");
    site.pusher("priv").push(&path);
    let mine = site.token("priv", Permission::Read);
    let agent = site.cachectl_ok(&["agent", "token", "machine"]).trim().to_owned();
    let other = site.token("pub", Permission::Admin);
    let rest = [
        String::new(),
        "/paths".to_owned(),
        format!("/paths?q={}", path.hash),
        "/pins".to_owned(),
        format!("/path/{}", path.hash),
        format!("/path/{}/files", path.hash),
        format!("/path/{}/raw/bin/tool", path.hash),
        format!("/path/{}/log", path.hash),
        format!("/path/{}/log/raw", path.hash),
        format!("/path/{}/references", path.hash),
        format!("/path/{}/referrers", path.hash),
        format!("/path/{}/why", path.hash),
    ];
    for rest in &rest {
        for token in ["", &other] {
            let shown = |name: &str| {
                let request = asking(&site.api(), &format!("/cache/{name}{rest}"));
                let reply = if token.is_empty() { request } else { request.bearer(token) }.send();
                let headers: Vec<_> = reply
                    .headers
                    .iter()
                    .filter(|(name, _)| !name.eq_ignore_ascii_case("date"))
                    .cloned()
                    .collect();
                (
                    reply.status,
                    headers,
                    String::from_utf8(reply.body).unwrap().replace(&format!("%2F{name}"), "%2FNAME"),
                )
            };
            let (private, unknown) = (shown("priv"), shown("nope"));
            assert_eq!(private, unknown, "{rest}");
            assert_eq!(private.0, 404);
        }
        // The log was never sent.
        if !rest.ends_with("/log/raw") && !rest.contains("?q=") {
            for token in [&mine, &agent] {
                let reply = asking(&site.api(), &format!("/cache/priv{rest}")).bearer(token).send();
                assert_eq!(reply.status, 200, "{rest}: {}", String::from_utf8_lossy(&reply.body));
            }
        }
    }
    for (token, sees) in [("", false), (other.as_str(), false), (mine.as_str(), true), (agent.as_str(), true)]
    {
        let listed = page(&site.api(), "/", token).expect(200).text().contains("cache/priv");
        assert_eq!(listed, sees);
        let at_root = page(&site.cache("priv"), "/", token).expect(200).text().contains("<h1>priv");
        assert_eq!(at_root, sees);
    }
}

#[test]
fn only_holders_of_a_token_see_who_pushed() {
    let site = Site::start();
    let path = Path::small("hello");
    let writer = site.create_token(&["--cache", "pub", "--permission", "write", "--subject", "Ada's laptop"]);
    crate::harness::Pusher::new(site.api(), "pub", &writer).push(&path);
    let target = format!("/cache/pub/path/{}", path.base_name());
    let strange = page(&site.api(), &target, "").expect(200);
    assert!(strange.text().contains("Pushed") && !strange.text().contains("laptop"));
    assert!(!strange.text().contains("Storage"));
    let known = page(&site.api(), &target, &site.token("pub", Permission::Read)).expect(200);
    assert!(known.text().contains("Ada's laptop"), "{}", known.text());
    // What keeps it takes a token, as the whole cache is looked at for that.
    page(&site.api(), &format!("{target}/why"), "").expect(401);
    let why = page(&site.api(), &format!("{target}/why"), &site.token("pub", Permission::Read)).expect(200);
    assert!(why.text().contains("was pushed or used"), "{}", why.text());
}

#[test]
fn operators_alone_see_the_server() {
    let site = Site::start();
    let admin = site.create_token(&["--all", "--permission", "admin"]);
    let others = [
        String::new(),
        site.create_token(&["--all", "--permission", "write"]),
        site.token("pub", Permission::Admin),
    ];
    for target in ["/server", "/server/work", "/server/network", "/server/tokens", "/server/audit"] {
        for token in &others {
            let reply = page(&site.api(), target, token).expect(401);
            assert_eq!(reply.header("WWW-Authenticate"), None, "browsers would ask for a password");
        }
        let reply = page(&site.api(), target, &admin).expect(200);
        assert!(!reply.text().contains(&admin), "no secrets");
    }
}
