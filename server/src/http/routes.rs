//! Every public path: its methods, what it demands, and its handler.
//!
//! | site | where |
//! |---|---|
//! | `Server` | at this path, on every port and for every host name |
//! | `Api` | the same; the path names the cache |
//! | `Cache` | at this path on the host name and on the own port of the cache, and below `/api/v1/cache/{cache}` |
//!
//! `get` and `page` take `HEAD` as well; what refuses a `page` or a `form` is a page too. `router/demand.rs` says what each demand means, and the parameter types of the handlers say what
//! may stand in `{…}`. Commands of operators are not here: they come through the admin socket (`admin/`).

use super::router::Site::{Api, Cache, Server};
use super::router::{
    Activate, Administer, Agent, AgentOrActivate, Nothing, Operate, PartUrl, Peer, Read, ReadApi, View,
    ViewCache, Write,
};
use super::router::{Route, form, get, get_only, page, post, put};
use super::web::{self, cache, fleet, operate, path, session};
use super::{cachix, deploy, health, network, nix, oidc};

/// Returns the table of routes.
#[rustfmt::skip]
pub fn all() -> Vec<Route> {
    vec![
        get(Server, "/", Nothing, web::home::get),
        get(Server, "/health/live",  Nothing, health::live),
        get(Server, "/health/ready", Nothing, health::ready),

        // What Nix reads, and what `nix copy` writes.
        get(Cache, "/nix-cache-info",              Read,  nix::cache_info::get),
        get(Cache, "/{hash}.narinfo",              Read,  nix::narinfo::get),
        put(Cache, "/{hash}.narinfo",              Write, nix::narinfo::put),
        get(Cache, "/nar/{nar}",                   Read,  nix::nar::get),
        put(Cache, "/nar/{nar}",                   Write, nix::nar::put),
        get(Cache, "/nar/{other}",                 Nothing, nix::nar::get_other),
        put(Cache, "/nar/{other}",                 Write, nix::nar::put_other),
        get(Cache, "/{hash}.ls",                   Read,  nix::listing::get),
        put(Cache, "/{hash}.ls",                   Write, nix::listing::put),
        get(Cache, "/log/{drv}",                   Read,  nix::log::get),
        put(Cache, "/log/{drv}",                   Write, nix::log::put),
        get(Cache, "/realisations/{file}",         Read,  nix::realisation::get),
        put(Cache, "/realisations/{file}",         Write, nix::realisation::put),
        get(Cache, "/build-trace-v2/{drv}/{file}", Read,  nix::realisation::get_trace),
        put(Cache, "/build-trace-v2/{drv}/{file}", Write, nix::realisation::put_trace),
        get(Cache, "/debuginfo/{file}",            Read,  nix::debuginfo::get),
        put(Cache, "/debuginfo/{file}",            Write, nix::debuginfo::put),
        get(Cache, "/serve/{hash}/{path..}",       Read,  nix::serve::get),
        get(Cache, "/elsewhere/{ticket}/{nar}",    Read,  nix::elsewhere::get),

        // What the `cachix` client calls.
        get(Api, "/api/v1/cache/{cache}",                                   ReadApi, cachix::info::get),
        post(Api, "/api/v1/cache/{cache}/narinfo",                          ReadApi, cachix::bulk_query::post),
        post(Api, "/api/v1/cache/{cache}/multipart-nar",                    Write, cachix::multipart::create),
        post(Api, "/api/v1/cache/{cache}/multipart-nar/{id}",               Write, cachix::multipart::sign_part),
        post(Api, "/api/v1/cache/{cache}/multipart-nar/{id}/complete",      Write, cachix::multipart::complete),
        post(Api, "/api/v1/cache/{cache}/multipart-nar/{id}/abort",         Write, cachix::multipart::abort),
        put(Api, "/api/v1/cache/{cache}/multipart-nar/{id}/part/{number}",  PartUrl, cachix::part::put),
        post(Api, "/api/v1/cache/{cache}/nar",                              Write, cachix::legacy::nar),
        post(Api, "/api/v1/cache/{cache}/{hash}.narinfo",                   Write, cachix::legacy::narinfo),
        post(Api, "/api/v1/cache/{cache}/key",                              Administer, cachix::key::register),
        post(Api, "/api/v1/cache/{cache}/pin",                              Write, cachix::pin::create),
        get_only(Api, "/api/v1/cache/{cache}/narurl/{nar}",                 Read, cachix::nar_url::get),

        // Cachix Deploy.
        post(Server, "/api/v1/deploy/activate",            Activate, deploy::activate::v1),
        post(Server, "/api/v2/deploy/activate",            Activate, deploy::activate::v2),
        get_only(Server, "/api/v1/deploy/deployment/{id}", Activate, deploy::deployment::status),
        get_only(Server, "/api/v1/deploy/log/{id}",        AgentOrActivate, deploy::log::connect),
        get_only(Server, "/deploy/{id}",                   Nothing, fleet::deployment::get),
        get_only(Server, "/ws",                            Agent, deploy::agent::connect),
        get_only(Server, "/ws-deployment",                 Agent, deploy::at_work::connect),

        // Pages for people. Private caches are answered like ones that do not exist.
        get(Server, "/assets/{file}", Nothing, web::assets::get),
        page("/login",  View, session::show),
        form("/login",  View, session::log_in),
        form("/logout", View, session::log_out),
        page("/cache/{cache}",                             ViewCache, cache::overview::get),
        page("/cache/{cache}/paths",                       ViewCache, cache::paths::get),
        page("/cache/{cache}/pins",                        ViewCache, cache::pins::get),
        page("/cache/{cache}/path/{hash}",                 ViewCache, path::overview::get),
        page("/cache/{cache}/path/{hash}/references",      ViewCache, path::relations::references),
        page("/cache/{cache}/path/{hash}/referrers",       ViewCache, path::relations::referrers),
        page("/cache/{cache}/path/{hash}/files/{path..}",  ViewCache, path::files::get),
        get(Server, "/cache/{cache}/path/{hash}/raw/{path..}", ViewCache, path::files::raw),
        page("/cache/{cache}/path/{hash}/log",             ViewCache, path::build_log::get),
        get(Server, "/cache/{cache}/path/{hash}/log/raw",  ViewCache, path::build_log::raw),
        page("/cache/{cache}/path/{hash}/why",             ViewCache, path::why::get),
        page("/deployments",                               View, fleet::workspaces::list),
        page("/deployments/{workspace}",                   View, fleet::workspaces::show),
        page("/deployments/{workspace}/{agent}",           View, fleet::agents::show),
        get_only(Server, "/deploy/{id}/events",            View, fleet::events::events),
        get_only(Server, "/deploy/{id}/log",               View, fleet::events::plain),
        page("/server",                                    Operate, operate::overview::get),
        page("/server/work",                               Operate, operate::work::get),
        page("/server/network",                            Operate, operate::network::get),
        page("/server/tokens",                             Operate, operate::tokens::get),
        page("/server/audit",                              Operate, operate::audit::get),

        // Tokens of OpenID providers.
        post(Server, "/api/v1/oidc/token", Nothing, oidc::exchange),

        // Other nodes of the network.
        get_only(Server, "/api/v1/network/digest", Peer, network::inventory),
    ]
}

#[cfg(test)]
mod tests;
