//! What the nodes of a network ask each other besides narinfo and NARs.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use warp::Filter;
use warp::reply::Response;

use super::error::HttpError;
use super::{Answer, Route, reply};
use crate::federation::{DigestQuestion, PEER_HEADER, PROOF_HEADER};
use crate::http::state::State;

/// `GET /api/v1/network/digest`: what our public caches hold, in few bytes, for nodes of our network.
pub fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("api" / "v1" / "network" / "digest")
        .and(warp::get())
        .and(warp::query::<DigestQuestion>())
        .and(warp::header::<String>(PEER_HEADER))
        .and(warp::header::<String>(PROOF_HEADER))
        .then(move |question: DigestQuestion, node: String, proof: String| {
            let state = state.clone();
            reply(async move { digest(&state, question, &node, &proof).await })
        })
}

async fn digest(state: &State, question: DigestQuestion, node: &str, proof: &str) -> Answer {
    let answer = match node.parse() {
        Ok(node) => state.federation.answer(question, node, proof).await,
        Err(_) => None,
    };
    let stranger = || HttpError::new(StatusCode::FORBIDDEN, "only for nodes of the same network");
    let mut response = Response::new(answer.ok_or_else(stranger)?.into());
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(response)
}
