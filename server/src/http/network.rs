//! What the nodes of a network ask each other, apart from narinfo and NARs.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use warp::reply::Response;

use super::Answer;
use super::error::HttpError;
use super::router::{Peer, Request};

/// `GET /api/v1/network/digest`: what our public caches hold, as a compact filter.
pub async fn inventory(request: Request<Peer>) -> Answer {
    let answer = request.state.federation.answer(request.grant).await.ok_or_else(HttpError::not_a_peer)?;
    let mut response = Response::new(answer.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}
