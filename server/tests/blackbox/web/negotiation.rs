//! Who gets pages, and who does not.

use std::collections::{HashSet, VecDeque};

use serde_json::json;

use super::{BROWSER, asking, check, links, page};
use crate::harness::{Path, Permission, Site};

#[test]
fn a_browser_gets_a_page_and_curl_gets_text() {
    let site = Site::start();
    let api = site.api();
    for accept in [None, Some("*/*"), Some("application/json")] {
        let request = api.get("/");
        let request = accept.into_iter().fold(request, |request, accept| request.header("Accept", accept));
        let reply = request.send().expect(200);
        assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"), "{accept:?}");
        assert!(reply.text().starts_with("This is a Nix binary cache (cache-server).\n"), "{}", reply.text());
        assert_eq!(reply.header("Vary"), Some("accept"));
    }
    let reply = page(&api, "/", "").expect(200);
    for text in ["extra-substituters", "cachix use pub", "nixConfig", "nix.settings", &site.public_key("pub")]
    {
        assert!(reply.text().contains(text), "{text}");
    }
    assert!(!reply.text().contains("priv"), "private caches are not listed");
    let head = api.head("/").header("Accept", BROWSER).send().expect(200);
    assert_eq!(head.header("Content-Type"), Some("text/html; charset=utf-8"));
}

#[test]
fn what_nix_and_cachix_read_is_the_same_for_a_browser() {
    let site = Site::start();
    let path = Path::small("hello");
    site.pusher("pub").push(&path);
    let targets = [
        "/nix-cache-info".to_owned(),
        format!("/{}.narinfo", path.hash),
        format!("/{}.ls", path.hash),
        format!("/serve/{}/bin/tool", path.hash),
    ];
    for target in &targets {
        let plain = site.cache("pub").get(target).send().expect(200);
        let browser = asking(&site.cache("pub"), target).send().expect(200);
        assert_eq!(plain.body, browser.body);
        assert_eq!(plain.header("Content-Type"), browser.header("Content-Type"));
        let policy = browser.header("Content-Security-Policy").unwrap();
        assert!(policy.contains("sandbox"), "{target}: {policy}");
    }
    let json = asking(&site.api(), "/api/v1/cache/pub").send().expect(200).json();
    assert_eq!(json["name"], "pub");
}

#[test]
fn the_host_name_and_the_port_of_a_cache_lead_to_its_page() {
    let site = Site::start();
    for endpoint in [site.cache("pub"), site.cache_port("pub")] {
        let reply = page(&endpoint, "/", "").expect(200);
        assert!(reply.text().contains("<h1>pub"), "{}", reply.text());
        // Its links are right there, too.
        for link in links("/", reply.text()) {
            let reply = asking(&endpoint, &link).send();
            assert_eq!(reply.status, 200, "{link}");
        }
        endpoint.get("/").send().expect(200).text().strip_prefix("This is a Nix binary cache").expect("text");
    }
    let url = format!("http://127.0.0.1:{}", site.port("pub"));
    assert!(!page(&site.cache("pub"), "/", "").text().contains(&url), "the public URL counts");
}

#[test]
fn the_port_of_a_private_cache_says_so_and_shows_no_other_one() {
    let site = Site::start();
    let port = site.cache_port("priv");
    let text = port.get("/").send().expect(200);
    assert!(text.text().contains("is private") && text.text().contains("netrc"), "{}", text.text());
    let shown = page(&port, "/", "").expect(200);
    assert!(shown.text().contains("private") && shown.text().contains("/login"), "{}", shown.text());
    for text in [text.text(), shown.text()] {
        assert!(!text.contains("extra-substituters") && !text.contains("<h1>priv"), "{text}");
    }
    // The port of a public one tells of that one alone.
    let text = site.cache_port("pub").get("/").send().expect(200);
    assert!(text.text().contains("`pub`") && !text.text().contains("my-cache-2"), "{}", text.text());
}

#[test]
fn every_link_leads_somewhere() {
    let site = Site::with_files(|config, directory| {
        config["server"]["audit-log"] = json!(directory.join("audit.log"));
        config["workspaces"] = json!([{"name": "fleet", "cache": "pub"}]);
        config["agents"] = json!([{"name": "machine", "workspace": "fleet"}]);
    });
    let low = Path::small("low");
    site.pusher("pub").push(&low);
    site.pusher("pub").push(&Path::small("high").referring_to([low.base_name()]));
    site.cachectl_ok(&["pin", "add", "release", &low.store_path(), "--cache", "pub"]);
    let admin = site.create_token(&["--all", "--permission", "admin"]);
    let (mut seen, mut next) = (HashSet::new(), VecDeque::from(["/".to_owned()]));
    while let Some(target) = next.pop_front() {
        if !seen.insert(target.clone()) {
            continue;
        }
        assert!(seen.len() < 500, "the pages go on and on: {target}");
        if target.ends_with("/logout") {
            continue;
        }
        let reply = asking(&site.api(), &target).bearer(&admin).send();
        assert_eq!(reply.status, 200, "{target}: {}", String::from_utf8_lossy(&reply.body));
        if reply.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")) {
            check(&target, &reply);
            next.extend(links(&target, reply.text()));
        }
    }
    for page in ["/server/audit", "/deployments/fleet/machine", "/cache/pub/pins", "/cache/priv"] {
        assert!(seen.iter().any(|target| target.starts_with(page)), "{page} in {seen:#?}");
    }
    assert!(seen.len() > 30, "{seen:#?}");
}

#[test]
fn links_stay_below_a_prefix() {
    let site = Site::start();
    for target in ["/", "/cache/pub", "/cache/pub/paths", "/login", "/cache/nope"] {
        let reply = page(&site.api(), target, "");
        // The proxy takes the prefix out of what the daemon sees.
        for link in links(&format!("/nix{target}"), reply.text()) {
            assert!(link.starts_with("/nix/"), "{link} on {target}");
        }
    }
}

#[test]
fn style_and_script_are_kept_for_good() {
    let site = Site::start();
    let reply = page(&site.api(), "/", "").expect(200);
    let assets: Vec<_> =
        links("/", reply.text()).into_iter().filter(|link| link.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    for asset in assets {
        let reply = site.api().get(&asset).send().expect(200);
        assert_eq!(reply.header("Cache-Control"), Some("public, max-age=31536000, immutable"));
    }
    site.api().get("/assets/style-000000000000.css").send().expect(404);
    site.api().get("/assets/..%2fmod.rs").send().expect(404);
}

#[test]
fn pages_can_be_switched_off() {
    let site = Site::with(|config| config["server"]["web-pages"] = json!(false));
    let reply = asking(&site.api(), "/").send().expect(200);
    assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"));
    let admin = site.create_token(&["--all", "--permission", "admin"]);
    for target in ["/cache/pub", "/login", "/server", "/deployments", "/cache/priv/paths"] {
        let reply = asking(&site.api(), target).bearer(&admin).send().expect(404);
        assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"), "{target}");
    }
    let token = site.token("pub", Permission::Read);
    site.api().post("/login").body(format!("token={token}")).send().expect(404);
}
