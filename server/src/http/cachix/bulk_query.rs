//! `POST /api/v1/cache/NAME/narinfo`: which of these paths are missing?

use std::sync::Arc;

use nix_formats::StorePathHash;
use warp::Filter;
use warp::reply::Reply;

use crate::app::App;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::{Answer, Route, Site, access, body, reply};

/// Largest body: about 450,000 hashes. Clients before 1.7.5 send a whole closure at once.
const BODY_LIMIT: usize = 16 << 20;

pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    let app = app.clone();
    site.clone()
        .and(warp::path("narinfo"))
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(warp::body::stream())
        .then(move |cache: Arc<Cache>, authorization: Option<String>, stream| {
            let app = app.clone();
            reply(async move {
                access::read_api(&app.tokens, &cache, authorization.as_deref())?;
                missing(&app, &cache, &body::read(stream, BODY_LIMIT).await?).await
            })
        })
}

async fn missing(app: &App, cache: &Cache, body: &[u8]) -> Answer {
    let asked: Vec<&str> = serde_json::from_slice(body).map_err(|error| {
        HttpError::bad_request(format!("expected a JSON array of store path hashes: {error}"))
    })?;
    let asked = asked
        .into_iter()
        .map(|text| {
            text.parse::<StorePathHash>().map_err(|error| {
                HttpError::bad_request(format!("`{}` is no store path hash: {error}", text.escape_debug()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let missing = cache.missing(&app.catalog, &asked).await?;
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    Ok(warp::reply::json(&missing).into_response())
}
