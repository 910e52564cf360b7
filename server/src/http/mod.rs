//! Everything HTTP: translates requests into calls of the domain and results into replies, and nothing more.
//!
//! | folder or file | what |
//! |---|---|
//! | `routes.rs` | every public path, with what it demands and its handler |
//! | `router/` | serves that table |
//! | `nix/`, `cachix/`, `deploy/`, `network.rs`, `oidc.rs`, `health.rs` | the handlers, an endpoint a file |
//! | `web/` | pages for people |
//! | `access.rs` | who may call what |
//! | `body.rs`, `error.rs` | bodies of requests, errors as replies |
//! | `forward/` | passes requests on to the daemons that share the catalog |
//! | `admin/` | the operator's socket |
//! | `metrics.rs` | the address for Prometheus |
//! | `openapi.rs` | the table of routes as a document and a page |

mod access;
mod admin;
mod body;
mod cachix;
mod deploy;
pub mod error;
mod forward;
mod health;
mod metrics;
mod network;
mod nix;
mod oidc;
pub mod openapi;
mod router;
mod routes;
pub mod state;
mod web;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use http::StatusCode;
use warp::Filter;
use warp::reply::{Reply, Response};

pub use self::cachix::PartUrlKey;
use self::error::HttpError;
pub use self::forward::Forwarder;
use self::metrics::Metrics;
use self::router::{Root, Table};
use self::state::State;
pub use self::web::KeptFigures;
use crate::audit::Object;
use crate::listeners::{Entrance, ServedOn};

/// Returns what makes the routes of each listener.
pub fn served_on(state: &Arc<State>) -> ServedOn {
    let state = state.clone();
    let table = Arc::new(Table::new(routes::all()));
    let metrics = Arc::new(Metrics::new(table.names()));
    Box::new(move |entrance| match Root::of(entrance) {
        Some(root) => router::serve(&table, &state, root),
        None if entrance == Entrance::Metrics => metrics::routes(&state, &metrics).into(),
        None => admin::routes(&state).into(),
    })
}

/// Extracts the query as it stands in the URL; empty if there is none.
fn raw_query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// What a handler returns.
type Answer = Result<Response, HttpError>;

/// Turns a handler's result into a reply.
async fn reply(answer: impl Future<Output = Answer>) -> Response {
    answer.await.unwrap_or_else(Reply::into_response)
}

/// A reply with status 200 and no body, about something that the URL does not name.
fn done(object: String) -> Response {
    let mut response = status(StatusCode::OK);
    response.extensions_mut().insert(Object(object));
    response
}

/// A reply with this status and no body.
fn status(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}
