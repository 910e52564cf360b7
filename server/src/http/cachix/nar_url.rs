//! `GET /api/v1/cache/NAME/narurl/FILE`: where a NAR can be fetched.

use std::sync::Arc;

use nar_storage::layout;
use nix_formats::NarFileName;
use warp::Filter;
use warp::reply::Reply;

use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::{Route, Site, access, reply};

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path("narurl"))
        .and(warp::path::param::<String>())
        .and(warp::path::end())
        .and(warp::get())
        .and(access::authorization())
        .and(access::host())
        .then(move |cache: Arc<Cache>, name: String, authorization: Option<String>, host: Option<String>| {
            let state = state.clone();
            reply(async move {
                access::read(&state, &cache, authorization.as_deref())?;
                let name = NarFileName::parse(&name).map_err(|_| HttpError::not_found())?;
                cache.find_nar(&state.catalog, &name).await?.ok_or_else(HttpError::not_found)?;
                let url =
                    format!("{}/{}", state.origin.cache_url(&cache, host.as_deref()), layout::nar_key(&name));
                Ok(warp::reply::json(&url).into_response())
            })
        })
}
