//! What the nodes of a network ask each other besides narinfo and NARs.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use warp::Filter;
use warp::reply::Response;

use super::error::HttpError;
use super::{Answer, Route, reply};
use crate::app::App;
use crate::federation::PEER_HEADER;

/// The version of our digest that the asking node has.
#[derive(Deserialize)]
struct Version {
    epoch: u64,
    position: u64,
}

/// `GET /api/v1/network/digest`: what our public caches hold, in few bytes.
pub fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("api" / "v1" / "network" / "digest")
        .and(warp::get())
        .and(warp::query::<Version>())
        .and(warp::header::optional::<String>(PEER_HEADER))
        .then(move |version: Version, node: Option<String>| {
            let app = app.clone();
            reply(async move { digest(&app, &version, node).await })
        })
}

async fn digest(app: &App, version: &Version, node: Option<String>) -> Answer {
    let message = app.federation.digest_since(version.epoch, version.position).await;
    let message = message
        .ok_or_else(|| HttpError::new(StatusCode::NOT_FOUND, "this server takes part in no network"))?;
    if let Some(node) = node.and_then(|node| node.parse().ok()) {
        app.federation.met(node);
    }
    let mut response = Response::new(message.encode().into());
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(response)
}
