//! What `cachectl` calls, on the Unix socket. Whoever can open the socket may do all of it: its file mode is the lock.

mod agents;
mod body;
mod caches;
mod deployment_log;
mod deployments;
mod doctor;
mod error;
mod jobs;
mod keys;
mod network;
mod paths;
mod pins;
mod reload;
mod status;
mod summary;
mod tokens;
mod usage;
mod why;
mod workers;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use admin_api::{API_VERSION, ApiError, ErrorCode, VERSION_HEADER};
use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use self::error::failure;
use crate::http::state::State;
use crate::http::{Route, any_of};
use crate::listeners::serve::Routes;

/// What a handler returns.
type Answer<T> = Result<T, ApiError>;

/// All routes of the admin socket.
pub(super) fn routes(state: &Arc<State>) -> Routes {
    let known = any_of([
        status::routes(state).boxed(),
        caches::routes(state).boxed(),
        keys::routes(state).boxed(),
        paths::routes(state).boxed(),
        why::routes(state).boxed(),
        tokens::routes(state).boxed(),
        jobs::routes(state).boxed(),
        pins::routes(state).boxed(),
        usage::routes(state).boxed(),
        workers::routes(state).boxed(),
        agents::routes(state).boxed(),
        deployments::routes(state).boxed(),
        network::routes(state).boxed(),
        doctor::routes(state).boxed(),
        reload::routes(state).boxed(),
    ]);
    version_check()
        .or(known)
        .unify()
        .recover(|_: Rejection| async move {
            Ok::<_, Infallible>(
                failure(ErrorCode::NotFound, "this daemon has no such command", None).into_reply(),
            )
        })
        .unify()
        .map(|mut response: Response| {
            response.headers_mut().insert(VERSION_HEADER, HeaderValue::from(API_VERSION));
            response
        })
        .boxed()
}

/// Answers requests of a `cachectl` that speaks another version, and lets all others pass.
fn version_check() -> impl Route {
    warp::header::<u32>(VERSION_HEADER).and_then(|version: u32| async move {
        if version == API_VERSION {
            return Err(warp::reject::not_found());
        }
        let message =
            format!("cachectl speaks version {version} of the admin API, this daemon version {API_VERSION}");
        let hint = "use the cachectl that came with the daemon, or restart the daemon after an upgrade";
        Ok(failure(ErrorCode::VersionMismatch, message, Some(hint)).into_reply())
    })
}

/// What stands behind the question mark, empty without one.
fn raw_query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// A segment of a path without its percent-encoding.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// Turns a handler's result into JSON.
async fn reply<T: Serialize>(answer: impl Future<Output = Answer<T>>) -> Response {
    match answer.await {
        Ok(value) => warp::reply::json(&value).into_response(),
        Err(error) => error.into_reply(),
    }
}

trait IntoReply {
    fn into_reply(self) -> Response;
}

impl IntoReply for ApiError {
    fn into_reply(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        warp::reply::with_status(warp::reply::json(&self), status).into_response()
    }
}
