//! `GET /`: for people who open the address in a browser.

use std::fmt::Write;

use warp::reply::Reply;

use super::Answer;
use super::router::{Nothing, Request};
use crate::http::state::State;

/// `GET /`.
pub async fn get(request: Request<Nothing>) -> Answer {
    Ok(text(&request.state, request.head.host()?).into_response())
}

/// Says what this server is and how to read from its public caches. Private caches are not mentioned.
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
