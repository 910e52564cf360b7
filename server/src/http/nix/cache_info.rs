//! `nix-cache-info`: what Nix asks first.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};
use warp::Filter;
use warp::reply::{Reply, Response};

use crate::cache::Cache;
use crate::http::state::State;
use crate::http::{Answer, Route, Site, access, reply};

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path("nix-cache-info"))
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .and(warp::header::optional::<String>(ACCEPT.as_str()))
        .then(move |cache: Arc<Cache>, authorization: Option<String>, accept: Option<String>| {
            let state = state.clone();
            reply(async move { get(&state, &cache, authorization.as_deref(), accept.as_deref()) })
        })
}

fn get(state: &State, cache: &Cache, authorization: Option<&str>, accept: Option<&str>) -> Answer {
    access::read(state, cache, authorization)?;
    if accept.is_some_and(|accept| accept.contains("application/json")) {
        let info = serde_json::json!({
            "storeDir": nix_formats::STORE_DIR,
            "wantMassQuery": 1,
            "priority": cache.config().priority,
        });
        return Ok(warp::reply::json(&info).into_response());
    }
    let mut response = Response::new(cache.nix_cache_info().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x-nix-cache-info"));
    Ok(response)
}
