//! `GET /`: for people who open the address in a browser.

use std::fmt::Write;
use std::sync::Arc;

use warp::Filter;
use warp::reply::Reply;

use super::{Route, origin};
use crate::app::App;

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path::end()
        .and(warp::get().or(warp::head()).unify())
        .and(origin::host())
        .map(move |host: Option<String>| text(&app, host.as_deref()).into_response())
        .boxed()
}

/// Says what this is and how to read from its public caches. Private ones are not mentioned.
fn text(app: &App, host: Option<&str>) -> String {
    let mut text = "This is a Nix binary cache (cache-server).\n".to_owned();
    for cache in app.caches().iter().filter(|cache| cache.is_public()) {
        let url = app.origin.cache_url(cache, host);
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
