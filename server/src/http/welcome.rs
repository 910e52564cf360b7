//! `GET /`: for people who open the address in a browser.

use std::fmt::Write;
use std::sync::Arc;

use warp::Filter;
use warp::reply::Reply;

use super::{Route, access};
use crate::http::state::State;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path::end()
        .and(warp::get().or(warp::head()).unify())
        .and(access::host())
        .map(move |host: Option<String>| text(&state, host.as_deref()).into_response())
        .boxed()
}

/// Says what this is and how to read from its public caches. Private ones are not mentioned.
fn text(state: &State, host: Option<&str>) -> String {
    let mut text = "This is a Nix binary cache (cache-server).\n".to_owned();
    for cache in state.caches().iter().filter(|cache| cache.is_public()) {
        let url = state.origin.cache_url(cache, host);
        let keys: Vec<String> = cache.keys().published().iter().map(ToString::to_string).collect();
        let _ = write!(
            text,
            "\nTo read from cache `{}`, add to nix.conf:\n\n  extra-substituters = {url}\n  \
             extra-trusted-public-keys = {}\n",
            cache.name(),
            keys.join(" ")
        );
    }
    text
}
