//! `HASH.ls`: what is inside a path. Made from the NAR when it is pushed.

use std::sync::Arc;

use http::StatusCode;
use nar_storage::layout;
use warp::Filter;

use super::untracked;
use crate::cache::Cache;
use crate::http::segment::ListingName;
use crate::http::state::State;
use crate::http::{Route, Site, access, any_of, body, reply, status};

/// Largest listing that a client may send.
const BODY_LIMIT: u64 = 256 << 20;

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([get(state.clone(), site.clone()).boxed(), put(state.clone(), site.clone()).boxed()])
}

fn get(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path::param::<ListingName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .then(move |cache: Arc<Cache>, name: ListingName, authorization: Option<String>| {
            let state = state.clone();
            reply(async move {
                let key = cache.index.contains(&name.0).then(|| layout::listing_key(&name.0));
                untracked::send(&state, &cache, authorization.as_deref(), key, "application/json").await
            })
        })
}

/// Nix sends its listing along (`write-nar-listing`). Ours comes from the verified NAR, so this one is not needed.
fn put(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path::param::<ListingName>())
        .and(warp::path::end())
        .and(warp::put())
        .and(access::authorization())
        .and(warp::body::stream())
        .then(move |cache: Arc<Cache>, _name: ListingName, authorization: Option<String>, stream| {
            let state = state.clone();
            reply(async move {
                access::write(&state.tokens, &cache, authorization.as_deref())?;
                body::discard(stream, BODY_LIMIT).await?;
                Ok(status(StatusCode::OK))
            })
        })
}
