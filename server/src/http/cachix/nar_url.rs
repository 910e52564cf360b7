//! `GET /api/v1/cache/NAME/narurl/FILE`: returns the URL of a NAR.

use nar_storage::layout;
use nix_formats::NarFileName;
use warp::reply::Reply;

use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{Read, Request};

/// `GET …/narurl/FILE`.
pub async fn get(request: Request<Read, String>) -> Answer {
    let Request { state, cache, path: name, head, .. } = request;
    let name = NarFileName::parse(&name).map_err(|_| HttpError::not_found())?;
    cache.find_nar(&state.catalog, &name).await?.ok_or_else(HttpError::not_found)?;
    let url = format!("{}/{}", state.origin.cache_url(&cache, head.host()?), layout::nar_key(&name));
    Ok(warp::reply::json(&url).into_response())
}
