//! Everything HTTP: translates requests into calls of the domain and results into replies, and nothing more.

mod access;
mod admin;
mod body;
mod cachix;
mod deploy;
pub mod error;
mod forward;
mod network;
mod nix;
mod segment;
mod site;
pub mod state;
mod welcome;

use std::future::Future;
use std::sync::Arc;

use http::StatusCode;
use warp::filters::BoxedFilter;
use warp::reject::Reject;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

pub use self::cachix::PartUrlKey;
use self::error::HttpError;
pub use self::forward::Forwarder;
use self::state::State;
use crate::cache::Cache;
use crate::listeners::serve::Routes;
use crate::listeners::{Entrance, RoutesOf};

/// All routes of the API port: the API for every host name, and each cache under its name.
fn api_routes(state: &Arc<State>) -> Routes {
    let by_host = site::by_host(state.clone());
    let by_path = site::by_path(state.clone());
    let hot =
        nix::hot_routes(state, by_host.clone()).or(nix::hot_routes(state, by_path.clone())).unify().boxed();
    rest(state, hot, by_host.boxed(), by_path.boxed())
}

/// All routes of a cache's own port: the cache at the root, and the API too, since part URLs lead to wherever the client
/// started.
fn cache_routes(state: &Arc<State>, port: u16) -> Routes {
    let own = site::by_port(state.clone(), port);
    let hot = nix::hot_routes(state, own.clone()).boxed();
    rest(state, hot, own.boxed(), site::by_path(state.clone()).boxed())
}

/// The hot routes of a listener, then everything else: the API, the cache at the root, and caches by their path.
fn rest(state: &Arc<State>, hot: Routes, root: Site, by_path: Site) -> Routes {
    let routes = any_of([
        hot.boxed(),
        cachix::routes(state, &by_path).boxed(),
        deploy::routes(state).boxed(),
        nix::routes(state, &root).boxed(),
        nix::routes(state, &by_path).boxed(),
        network::routes(state).boxed(),
        welcome::routes(state).boxed(),
    ]);
    finish(routes)
}

/// The first of `routes` that takes a request answers it. Boxed at the edges: a tower of nested filter types makes the
/// compiler name all levels below at each of them.
fn any_of<const N: usize>(routes: [Routes; N]) -> Routes {
    let mut routes = routes.into_iter();
    let first = routes.next().expect("a list of routes is never empty");
    routes.fold(first, |all, next| all.or(next).unify().boxed())
}

/// Returns what makes the routes of each listener.
pub fn routes_of(state: &Arc<State>) -> RoutesOf {
    let state = state.clone();
    Box::new(move |entrance| match entrance {
        Entrance::Api => api_routes(&state),
        Entrance::Cache(port) => cache_routes(&state, port),
        Entrance::Admin => admin::routes(&state),
    })
}

/// A filter that answers.
trait Route: Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {}
impl<F> Route for F where F: Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {}

/// A filter that says which cache a request is for. Boxed, so that the endpoints are compiled once and not once for each
/// kind of site.
type Site = BoxedFilter<(Arc<Cache>,)>;

/// The same for the two endpoints where a box per request would be felt.
trait HotSite: Filter<Extract = (Arc<Cache>,), Error = Rejection> + Clone + Send + Sync + 'static {}
impl<F> HotSite for F where
    F: Filter<Extract = (Arc<Cache>,), Error = Rejection> + Clone + Send + Sync + 'static
{
}

/// What a handler returns.
type Answer = Result<Response, HttpError>;

/// Turns a handler's result into a reply.
async fn reply(answer: impl Future<Output = Answer>) -> Response {
    answer.await.unwrap_or_else(Reply::into_response)
}

/// A reply with this status and no body.
fn status(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

#[derive(Debug)]
struct Rejected(std::sync::Mutex<Option<HttpError>>);

impl Reject for Rejected {}

/// Lets a filter refuse a request with an error of ours.
fn reject(error: HttpError) -> Rejection {
    warp::reject::custom(Rejected(std::sync::Mutex::new(Some(error))))
}

/// Answers what no route took.
fn finish(routes: impl Route) -> Routes {
    routes
        .recover(|rejection: Rejection| async move {
            Ok::<_, std::convert::Infallible>(recover(&rejection).into_response())
        })
        .unify()
        .boxed()
}

fn recover(rejection: &Rejection) -> HttpError {
    use warp::reject::{InvalidHeader, InvalidQuery, MethodNotAllowed};
    let ours = rejection.find::<Rejected>().and_then(|ours| ours.0.lock().ok()?.take());
    if let Some(error) = ours {
        error
    } else if let Some(invalid) = rejection.find::<InvalidHeader>() {
        HttpError::bad_request(format!("malformed header `{}`", invalid.name()))
    } else if rejection.find::<InvalidQuery>().is_some() {
        HttpError::bad_request("missing or malformed query parameters")
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not supported here")
    } else {
        HttpError::not_found()
    }
}
