//! The HTTP API as an OpenAPI document and as a page of the book, made from the table of routes.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::router::Route;
use super::router::Site::{Api, Cache, Server};
use super::routes;

/// What each route does, by its methods and path. A test compares the list with the table of routes.
#[rustfmt::skip]
const SUMMARIES: &[(&str, &str)] = &[
    ("GET /", "The home page: what this server is, and how to use its caches"),
    ("GET /health/live", "Whether the daemon runs"),
    ("GET /health/ready", "Whether requests should come here, with the reasons"),
    ("GET /nix-cache-info", "The store directory and the priority of the cache"),
    ("GET /{hash}.narinfo", "The narinfo of a store path"),
    ("PUT /{hash}.narinfo", "Publish a store path whose NAR was uploaded, as `nix copy` does"),
    ("GET /nar/{nar}", "A compressed NAR; takes ranges"),
    ("PUT /nar/{nar}", "Upload a compressed NAR, as `nix copy` does"),
    ("GET /nar/{other}", "Always 404: a NAR in a form that is not served"),
    ("PUT /nar/{other}", "Always refused: a NAR in a form that is not taken"),
    ("GET /{hash}.ls", "The listing of the files of a store path"),
    ("PUT /{hash}.ls", "Accepted and ignored: the daemon makes listings itself"),
    ("GET /log/{drv}", "The build log of a derivation"),
    ("PUT /log/{drv}", "Upload a build log"),
    ("GET /realisations/{file}", "A realisation of a content-addressed derivation"),
    ("PUT /realisations/{file}", "Upload a realisation"),
    ("GET /build-trace-v2/{drv}/{file}", "A realisation, in the layout of newer versions of Nix"),
    ("PUT /build-trace-v2/{drv}/{file}", "Upload a realisation, in the layout of newer versions of Nix"),
    ("GET /debuginfo/{file}", "Where the debug information of a build id is"),
    ("PUT /debuginfo/{file}", "Accepted and ignored: the daemon makes these links itself"),
    ("GET /serve/{hash}/{path}", "A file or directory out of a store path"),
    ("GET /elsewhere/{ticket}/{nar}", "A NAR that another node or an upstream has; narinfo files lead here"),
    ("GET /api/v1/cache/{cache}", "Name, URL, keys and permission of a cache, as `cachix use` needs them"),
    ("POST /api/v1/cache/{cache}/narinfo", "Which of these store hashes the cache lacks"),
    ("POST /api/v1/cache/{cache}/multipart-nar", "Begin an upload in parts"),
    ("POST /api/v1/cache/{cache}/multipart-nar/{id}", "The URL for one part of an upload"),
    ("POST /api/v1/cache/{cache}/multipart-nar/{id}/complete", "End an upload: verify it and publish the path"),
    ("POST /api/v1/cache/{cache}/multipart-nar/{id}/abort", "Give an upload up"),
    ("PUT /api/v1/cache/{cache}/multipart-nar/{id}/part/{number}", "Upload one part"),
    ("POST /api/v1/cache/{cache}/nar", "Upload a NAR, as cachix 1.0 to 1.2 do"),
    ("POST /api/v1/cache/{cache}/{hash}.narinfo", "Publish a store path, as cachix 1.0 to 1.2 do"),
    ("POST /api/v1/cache/{cache}/key", "Register a signing key, as `cachix generate-keypair` does"),
    ("POST /api/v1/cache/{cache}/pin", "Create a pin, or a new revision of one"),
    ("GET /api/v1/cache/{cache}/narurl/{nar}", "Where a NAR can be fetched"),
    ("POST /api/v1/oidc/token", "Exchange the token of an OpenID provider for one of this server (RFC 8693)"),
    ("POST /api/v1/deploy/activate", "Activate store paths on agents (first form of the reply)"),
    ("POST /api/v2/deploy/activate", "Activate store paths on agents"),
    ("GET /api/v1/deploy/deployment/{id}", "The state of a deployment"),
    ("GET /api/v1/deploy/log/{id}", "The log of a deployment, as a websocket"),
    ("GET /deploy/{id}", "A page that shows a deployment"),
    ("GET /assets/{file}", "Style, script and icon of the web pages"),
    ("GET /login", "The page on which a person logs in with a token"),
    ("POST /login", "Log in with a token"),
    ("POST /logout", "Log out"),
    ("GET /cache/{cache}", "A page about a cache, and how to use it"),
    ("GET /cache/{cache}/paths", "A page that lists and finds paths"),
    ("GET /cache/{cache}/pins", "A page that lists pins"),
    ("GET /cache/{cache}/path/{hash}", "A page about a store path"),
    ("GET /cache/{cache}/path/{hash}/references", "A page with the paths that it refers to"),
    ("GET /cache/{cache}/path/{hash}/referrers", "A page with the paths that refer to it"),
    ("GET /cache/{cache}/path/{hash}/files/{path}", "A page with its files"),
    ("GET /cache/{cache}/path/{hash}/raw/{path}", "One of its files"),
    ("GET /cache/{cache}/path/{hash}/log", "A page with its build log"),
    ("GET /cache/{cache}/path/{hash}/log/raw", "Its build log as text"),
    ("GET /cache/{cache}/path/{hash}/why", "A page that says why it is kept"),
    ("GET /deployments", "A page that lists workspaces"),
    ("GET /deployments/{workspace}", "A page about a workspace and its agents"),
    ("GET /deployments/{workspace}/{agent}", "A page about an agent and its deployments"),
    ("GET /deploy/{id}/events", "The progress of a deployment, as server-sent events"),
    ("GET /deploy/{id}/log", "The log of a deployment as text"),
    ("GET /server", "A page about the server"),
    ("GET /server/work", "A page about workers and jobs"),
    ("GET /server/network", "A page about the other nodes"),
    ("GET /server/tokens", "A page that lists tokens"),
    ("GET /server/audit", "A page with the last changes and refusals"),
    ("GET /ws", "The websocket of an agent that waits for deployments"),
    ("GET /ws-deployment", "The websocket of an agent at work"),
    ("GET /api/v1/network/digest", "What the public caches of this node hold, for other nodes"),
];

/// What a demand of the table means for a client: a name of it, and whether it also admits clients without a token.
fn access(demand: &str) -> (&'static str, bool) {
    match demand {
        "Nothing" => ("none", true),
        "Read" => ("`read` on a private cache; none on a public one", true),
        "ReadApi" => ("`read` on a private cache; none on a public one", true),
        "Write" => ("`write`", false),
        "Administer" => ("`admin`", false),
        "PartUrl" => ("the signature in the URL", true),
        "Activate" => ("`activate` for the workspace", false),
        "Agent" => ("the token of an agent", false),
        "AgentOrActivate" => ("the token of an agent, or `activate`", false),
        "View" => ("a login, where there is something private to see", true),
        "ViewCache" => ("a login that opens the cache, if it is private", true),
        "Operate" => ("a login with an `admin` token for all caches", false),
        "Peer" => ("proof of the network key", true),
        _ => ("see the source", false),
    }
}

/// A route as a document names it: OpenAPI knows no parameter that takes the rest of a path.
fn shown_path(route: &Route) -> String {
    route.path.replace("..}", "}")
}

/// The path under which every server has the route.
fn full_path(route: &Route) -> String {
    match route.site {
        Cache => format!("/api/v1/cache/{{cache}}{}", shown_path(route)),
        Api | Server => shown_path(route),
    }
}

fn summary(route: &Route) -> &'static str {
    let key = format!("{} {}", route.methods[0], shown_path(route));
    SUMMARIES.iter().find(|(known, _)| *known == key).map_or("", |(_, summary)| summary)
}

/// The OpenAPI document, as indented JSON.
pub fn document() -> String {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::all() {
        let path = full_path(&route);
        let entry = paths.entry(path.clone()).or_insert_with(|| json!({}));
        for method in route.methods {
            entry[method.as_str().to_lowercase()] = operation(&route, &path, method.as_str());
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cache-server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The paths of caches are also served without their prefix /api/v1/cache/{cache}, on the host name \
                and on the port of the cache.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "paths": paths,
        "components": { "securitySchemes": {
            "token": { "type": "http", "scheme": "bearer", "description": "A token made by `cachectl token create`" },
            "netrc": { "type": "http", "scheme": "basic", "description": "Any login, with the token as the password" },
        } },
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn operation(route: &Route, path: &str, method: &str) -> Value {
    let (needs, admits_all) = access(route.demand);
    let names = path.split('{').skip(1).filter_map(|piece| piece.split_once('}')).map(|(name, _)| name);
    let parameters: Vec<Value> = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let mut security = vec![json!({ "token": [] }), json!({ "netrc": [] })];
    if admits_all {
        security.push(json!({}));
    }
    let refused = json!({ "description": "The token is missing, invalid, expired or revoked, or does not permit this" });
    let mut responses =
        json!({ "2XX": { "description": "Success" }, "404": { "description": "There is no such thing" } });
    if route.demand != "Nothing" {
        responses["401"] = refused;
    }
    let mut operation = json!({
        "summary": summary(route),
        "description": format!("Needs: {needs}."),
        "security": security,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if matches!(method, "POST" | "PUT") {
        operation["requestBody"] = json!({ "content": { "*/*": {} } });
    }
    operation
}

const HEAD: &str = "\
# HTTP API

<!-- Generated from server/src/http/routes.rs by `cargo run --release -- generate-reference .` (`--check` compares). -->

Every path that the daemon answers. [`openapi.json`](openapi.json) has the same for programs. Operators use
`cachectl`, which talks to the daemon through a Unix socket with an API of its own.

A token is sent as `Authorization: Bearer TOKEN`, or as the password of Basic authentication with any login. `GET` takes
`HEAD` as well, except on websockets and below `/api`. Errors are JSON, `{\"error\": \"…\"}`, for clients that accept it, else
one line of text. A reply with a server error names a request id, under which the log has the cause.
";

/// The page of the book.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let sections = [
        (Cache, "Caches", "On the host name and the port of a cache, and below `/api/v1/cache/NAME`."),
        (Api, "The Cachix API", "On every port and for every host name."),
        (Server, "The server", "On every port and for every host name."),
    ];
    let table = routes::all();
    for (site, title, place) in sections {
        let _ =
            write!(page, "\n## {title}\n\n{place}\n\n| request | what it does | needs |\n|---|---|---|\n");
        for route in table.iter().filter(|route| route.site == site) {
            let (needs, _) = access(route.demand);
            let request = format!("{} {}", route.methods[0], shown_path(route));
            let _ = writeln!(page, "| `{request}` | {} | {needs} |", summary(route));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_summary_and_every_summary_a_route() {
        let table = routes::all();
        let known: Vec<String> =
            table.iter().map(|route| format!("{} {}", route.methods[0], shown_path(route))).collect();
        for route in &known {
            assert!(SUMMARIES.iter().any(|(summarised, _)| summarised == route), "{route} has no summary");
        }
        for (summarised, _) in SUMMARIES {
            assert!(known.iter().any(|route| route == summarised), "{summarised} is no route");
        }
        assert!(table.iter().all(|route| access(route.demand).0 != "see the source"));
    }
}
