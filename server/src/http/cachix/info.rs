//! `GET /api/v1/cache/NAME`: what a client has to know about a cache.

use std::sync::Arc;

use catalog::TokenPermission;
use serde::Serialize;
use warp::Filter;
use warp::reply::Reply;

use crate::cache::Cache;
use crate::config::PreferredCompression;
use crate::http::state::State;
use crate::http::{Answer, Route, Site, access, reply};

/// The reply, in the client's spelling (protocol reference 3.1).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BinaryCache {
    name: String,
    uri: String,
    is_public: bool,
    public_signing_keys: Vec<String>,
    github_username: String,
    permission: &'static str,
    preferred_compression_method: &'static str,
}

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .and(access::host())
        .then(move |cache: Arc<Cache>, authorization: Option<String>, host: Option<String>| {
            let state = state.clone();
            reply(async move { get(&state, &cache, authorization.as_deref(), host.as_deref()) })
        })
}

fn get(state: &State, cache: &Cache, authorization: Option<&str>, host: Option<&str>) -> Answer {
    let permission = access::read_api(&state.tokens, cache, authorization)?;
    let info = BinaryCache {
        name: cache.name().to_owned(),
        uri: state.origin.cache_url(cache, host),
        is_public: cache.is_public(),
        public_signing_keys: cache.keys().published().iter().map(ToString::to_string).collect(),
        github_username: String::new(),
        permission: match permission.unwrap_or(TokenPermission::Read) {
            TokenPermission::Read => "Read",
            TokenPermission::Write => "Write",
            TokenPermission::Admin => "Admin",
        },
        preferred_compression_method: match cache.config().compression {
            PreferredCompression::Zstd => "ZSTD",
            PreferredCompression::Xz => "XZ",
        },
    };
    Ok(warp::reply::json(&info).into_response())
}
