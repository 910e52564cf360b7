//! What the nodes of a network ask each other besides narinfo and NARs.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use warp::Filter;
use warp::reply::Response;

use super::error::HttpError;
use super::{Answer, Route, reply};
use crate::app::App;
use crate::federation::{DigestQuestion, PEER_HEADER, PROOF_HEADER};

/// `GET /api/v1/network/digest`: what our public caches hold, in few bytes, for nodes of our network.
pub fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("api" / "v1" / "network" / "digest")
        .and(warp::get())
        .and(warp::query::<DigestQuestion>())
        .and(warp::header::<String>(PEER_HEADER))
        .and(warp::header::<String>(PROOF_HEADER))
        .then(move |question: DigestQuestion, node: String, proof: String| {
            let app = app.clone();
            reply(async move { digest(&app, question, &node, &proof).await })
        })
}

async fn digest(app: &App, question: DigestQuestion, node: &str, proof: &str) -> Answer {
    let answer = match node.parse() {
        Ok(node) => app.federation.answer(question, node, proof).await,
        Err(_) => None,
    };
    let stranger = || HttpError::new(StatusCode::FORBIDDEN, "only for nodes of the same network");
    let mut response = Response::new(answer.ok_or_else(stranger)?.into());
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(response)
}
