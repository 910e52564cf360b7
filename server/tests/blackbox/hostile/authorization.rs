//! Every route, with every kind of credential, on a public, a private and an unknown cache.
//!
//! The rows come from the list of routes that the daemon's own tests compare with its table, so a new route is tried from the
//! start. What a demand permits is said here a second time and by other means.

use crate::harness::{Endpoint, Permission, Request, Response, Site};
use serde_json::json;

/// Methods, path, demand and site of each route.
const SURFACE: &str = include_str!("../../../src/http/routes/surface.txt");

struct Route {
    method: String,
    path: String,
    demand: String,
    site: String,
}

fn routes() -> Vec<Route> {
    let row = |line: &str| {
        let [methods, path, demand, site] =
            <[&str; 4]>::try_from(line.split_whitespace().collect::<Vec<_>>()).expect("four columns");
        methods
            .split(',')
            .map(|method| Route {
                method: method.to_owned(),
                path: path.to_owned(),
                demand: demand.to_owned(),
                site: site.to_owned(),
            })
            .collect::<Vec<_>>()
    };
    SURFACE.lines().flat_map(row).collect()
}

/// The path with something in place of its parameters. A new parameter needs a line here.
fn filled(path: &str, cache: &str) -> String {
    let samples = [
        ("{cache}", cache),
        ("{hash}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5"),
        ("{nar}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.zst"),
        ("{other}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.lzma"),
        ("{id}", "6a7d1d2e-6a0e-4f0c-9a40-0a8e3a0f9d11"),
        ("{number}", "7"),
        ("{drv}", "1b8m03r63zqhnjf7l5wnldhh7c134ap5-hello.drv"),
        ("{file}", "out.doi"),
        ("{ticket}", "ticket"),
        ("{path..}", "bin/hello"),
        ("{workspace}", "fleet"),
        ("{agent}", "machine"),
    ];
    let path = samples.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}: what stands for this parameter?");
    path
}

/// What a client presents, and what that is good for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Holder {
    Nobody,
    /// Something that is no token of this server, or not any more.
    Invalid,
    /// A token for caches: the least on `pub`, `priv`, and on every other name.
    Caches([Option<Level>; 3]),
    Agent,
    Activator,
}

#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
enum Level {
    Read,
    Write,
    Admin,
}

const CACHES: [&str; 3] = ["pub", "priv", "nope"];

impl Holder {
    fn may(self, cache: usize, level: Level) -> bool {
        matches!(self, Self::Caches(levels) if levels[cache].is_some_and(|has| has >= level))
    }

    /// Whether it is known to it that there is this cache. The agents of the test fetch from `priv`.
    fn knows(self, cache: usize) -> bool {
        cache == 0 || self.may(cache, Level::Read) || (cache == 1 && self == Self::Agent)
    }
}

fn credentials(site: &Site) -> Vec<(String, Holder)> {
    let mut all = vec![(String::new(), Holder::Nobody), ("no-token".to_owned(), Holder::Invalid)];
    let revoked = site.create_token(&["--all", "--permission", "admin"]);
    let tokens: serde_json::Value =
        serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    site.cachectl_ok(&["token", "revoke", tokens[0]["id"].as_str().unwrap()]);
    all.push((revoked, Holder::Invalid));
    let levels = [
        (Permission::Read, "read", Level::Read),
        (Permission::Write, "write", Level::Write),
        (Permission::Admin, "admin", Level::Admin),
    ];
    for (permission, name, level) in levels {
        let on = |cache: usize| Holder::Caches([0, 1, 2].map(|other| (other == cache).then_some(level)));
        all.push((site.token("pub", permission), on(0)));
        all.push((site.token("priv", permission), on(1)));
        all.push((site.token("my-cache-2", permission), Holder::Caches([None; 3])));
        all.push((site.create_token(&["--all", "--permission", name]), Holder::Caches([Some(level); 3])));
    }
    all.push((site.cachectl_ok(&["agent", "token", "machine"]).trim().to_owned(), Holder::Agent));
    let activator = site.create_token(&["--workspace", "fleet", "--permission", "activate"]);
    all.push((activator, Holder::Activator));
    all
}

/// Whether the daemon goes on to handle the request. `None` where that takes more than a credential.
fn is_permitted(route: &Route, cache: usize, holder: Holder) -> Option<bool> {
    let in_cache = route.site != "Server";
    // `View` shows to each what it may see: `web/` says what that is.
    if matches!(route.demand.as_str(), "PartUrl" | "Peer" | "View") {
        return None;
    }
    if in_cache && !holder.knows(cache) {
        return Some(false);
    }
    // There is none, as whoever may open it may know.
    if in_cache && CACHES[cache] == "nope" {
        return Some(true);
    }
    Some(match route.demand.as_str() {
        "Nothing" | "Read" => true,
        "ReadApi" => match cache {
            0 => holder != Holder::Invalid,
            _ => holder.may(cache, Level::Read),
        },
        "Write" => holder.may(cache, Level::Write),
        "Administer" => holder.may(cache, Level::Admin),
        "Agent" | "AgentOrActivate" => holder == Holder::Agent,
        "Activate" => holder == Holder::Activator,
        // The test asks for pages of the public cache. What else there is to see is in `web/private.rs`.
        "ViewCache" => true,
        "Operate" => holder == Holder::Caches([Some(Level::Admin); 3]),
        other => panic!("{}: who may pass the demand `{other}`?", route.path),
    })
}

fn ask(endpoint: &Endpoint, method: &str, target: &str, token: &str) -> Response {
    let mut request: Request = endpoint.request(method, target);
    if !token.is_empty() {
        request = request.bearer(token);
    }
    if matches!(method, "PUT" | "POST") {
        request = request.body("{}");
    }
    request.send()
}

/// The endpoints and targets under which a route is found for a cache.
fn places(site: &Site, route: &Route, cache: &str) -> Vec<(Endpoint, String)> {
    let path = filled(&route.path, cache);
    match route.site.as_str() {
        "Server" | "Api" => vec![(site.api(), path)],
        "Cache" => {
            vec![(site.cache(cache), path.clone()), (site.api(), format!("/api/v1/cache/{cache}{path}"))]
        }
        other => panic!("{}: where is the site `{other}`?", route.path),
    }
}

fn site() -> Site {
    Site::with(|config| {
        config["server"]["hide-private-caches"] = json!(true);
        config["workspaces"] = json!([{"name": "fleet", "cache": "priv"}]);
        config["agents"] = json!([{"name": "machine", "workspace": "fleet"}]);
    })
}

#[test]
fn every_route_admits_those_whom_its_demand_permits_and_nobody_else() {
    let site = site();
    let credentials = credentials(&site);
    let mut refused = 0;
    for route in routes() {
        let caches = if route.site == "Server" { 1 } else { CACHES.len() };
        for (cache, name) in CACHES.iter().enumerate().take(caches) {
            for (endpoint, target) in places(&site, &route, name) {
                for (token, holder) in &credentials {
                    let reply = ask(&endpoint, &route.method, &target, token);
                    let row = format!("{} {target} by {holder:?}: {}", route.method, reply.status);
                    match is_permitted(&route, cache, *holder) {
                        Some(true) => assert!(!matches!(reply.status, 401 | 403 | 500..), "{row}"),
                        Some(false) => assert_eq!(reply.status, 401, "{row}"),
                        None if route.demand == "View" => assert_ne!(reply.status, 500, "{row}"),
                        None => assert!(matches!(reply.status, 400 | 403 | 404), "{row}"),
                    }
                    refused += usize::from(reply.status == 401);
                }
            }
        }
    }
    assert!(refused > 500, "{refused} requests were refused");
}

#[test]
fn a_private_cache_cannot_be_told_from_a_name_that_no_cache_has() {
    let site = site();
    let credentials = credentials(&site);
    let strangers = || credentials.iter().filter(|(_, holder)| !holder.knows(1) && !holder.knows(2));
    assert!(strangers().count() > 5);
    let shown = |reply: Response, name: &str| {
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
        let text = String::from_utf8_lossy(&reply.body).replace(name, "NAME");
        // A longer name makes a longer text.
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
        (reply.status, headers, text)
    };
    for route in routes().iter().filter(|route| route.site != "Server") {
        let places = places(&site, route, "priv").into_iter().zip(places(&site, route, "nope"));
        for ((private, private_target), (unknown, unknown_target)) in places {
            for (token, _) in strangers() {
                let one = shown(ask(&private, &route.method, &private_target, token), "priv");
                let other = shown(ask(&unknown, &route.method, &unknown_target, token), "nope");
                assert_eq!(one, other, "{} {private_target}", route.method);
            }
        }
    }
    // Nor by a path that no route has, or by a method.
    for target in ["/nothing/here", "/nix-cache-info"] {
        for method in ["GET", "DELETE"] {
            let one = shown(ask(&site.cache("priv"), method, target, ""), "priv");
            assert_eq!(one, shown(ask(&site.cache("nope"), method, target, ""), "nope"), "{method} {target}");
        }
    }
}
