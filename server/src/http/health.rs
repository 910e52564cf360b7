//! `/health/live` and `/health/ready`: for supervisors and load balancers. Open to everybody, on every port and host name.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use warp::reply::{Reply, Response};

use super::Answer;
use super::router::{Nothing, Request};
use super::state::State;
use crate::observe::health::{self, Level, Readiness};

/// `GET /health/live`: 200 as long as the daemon answers at all. Whatever else is wrong, a restart would not mend it.
pub async fn live(_: Request<Nothing>) -> Answer {
    Ok(reply(&Readiness { status: Level::Ready, reasons: Vec::new() }))
}

/// `GET /health/ready`: 503 if new requests should go to another daemon, with the reasons.
pub async fn ready(request: Request<Nothing>) -> Answer {
    Ok(reply(&health::examine(&request.state, &request.state.listeners)))
}

/// The reply of a listener that has no table of routes. `None` for another path.
pub fn answer(state: &State, path: &str) -> Option<Response> {
    match path {
        "/health/live" => Some(reply(&Readiness { status: Level::Ready, reasons: Vec::new() })),
        "/health/ready" => Some(reply(&health::examine(state, &state.listeners))),
        _ => None,
    }
}

fn reply(readiness: &Readiness) -> Response {
    let mut response = warp::reply::json(readiness).into_response();
    if readiness.is_unavailable() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
