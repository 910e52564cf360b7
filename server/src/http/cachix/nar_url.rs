//! `GET /api/v1/cache/NAME/narurl/FILE`: where a NAR can be fetched.

use std::sync::Arc;

use nar_storage::layout;
use nix_formats::NarFileName;
use warp::Filter;
use warp::reply::Reply;

use crate::app::App;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::{Route, Site, access, origin, reply};

pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    let app = app.clone();
    site.clone()
        .and(warp::path("narurl"))
        .and(warp::path::param::<String>())
        .and(warp::path::end())
        .and(warp::get())
        .and(access::authorization())
        .and(origin::host())
        .then(move |cache: Arc<Cache>, name: String, authorization: Option<String>, host: Option<String>| {
            let app = app.clone();
            reply(async move {
                access::read(&app, &cache, authorization.as_deref())?;
                let name = NarFileName::parse(&name).map_err(|_| HttpError::not_found())?;
                cache.find_nar(&app.catalog, &name).await?.ok_or_else(HttpError::not_found)?;
                let url =
                    format!("{}/{}", app.origin.cache_url(&cache, host.as_deref()), layout::nar_key(&name));
                Ok(warp::reply::json(&url).into_response())
            })
        })
}
