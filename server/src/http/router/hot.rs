//! The shortcut for `GET` and `HEAD` of narinfo and NARs. See the head of the folder for why there is one.
//!
//! A request is recognised by its method and path alone. One that is not recognised here, or has a malformed header, is left
//! to the table. A hit must stay cheap: no header is copied that the two routes do not need, and futures are small.

use std::convert::Infallible;
use std::future::ready;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use http::header::{AUTHORIZATION, HOST, IF_NONE_MATCH, IF_RANGE, RANGE};
use nix_formats::{NarFileName, StorePathHash};
use warp::path::FullPath;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use super::Table;
use super::request_log::Line;
use super::site::{CACHES, Root};
use crate::cache::Cache;
use crate::counters::requests::{self, UNMATCHED, WITHOUT_CACHE};
use crate::federation::PEER_HEADER;
use crate::http::error::HttpError;
use crate::http::nix::nar::{self, NarRequest};
use crate::http::nix::narinfo;
use crate::http::state::State;
use crate::http::{access, reply};
use crate::listeners::serve::Routes;

/// The numbers under which requests for the two routes are counted.
#[derive(Clone, Copy)]
pub struct Numbers {
    pub(super) narinfo: usize,
    pub(super) nar: usize,
}

impl Numbers {
    /// Looks them up.
    pub fn of(table: &Table) -> Self {
        Self { narinfo: table.number_of("/{hash}.narinfo"), nar: table.number_of("/nar/{nar}") }
    }
}

/// Serves the hot routes, and leaves all other requests to `rest`.
pub fn before(rest: Routes, state: &Arc<State>, root: Root, numbers: Numbers) -> Routes {
    match root {
        Root::ByHost => {
            before_with(rest, state, root, numbers, warp::header::optional::<String>(HOST.as_str()))
        }
        // The port alone says which cache it is.
        Root::ByPort(_) => {
            before_with(rest, state, root, numbers, warp::any().and_then(|| ready(Ok::<_, Rejection>(None))))
        }
    }
}

/// A filter that says which host name a request came to, if that matters.
trait Host: Filter<Extract = (Option<String>,), Error = Rejection> + Clone + Send + Sync + 'static {}
impl<F> Host for F where
    F: Filter<Extract = (Option<String>,), Error = Rejection> + Clone + Send + Sync + 'static
{
}

fn before_with(rest: Routes, state: &Arc<State>, root: Root, numbers: Numbers, host: impl Host) -> Routes {
    let nar_or_rest = nar(state.clone(), root, numbers.nar, host.clone()).or(rest).unify().boxed();
    narinfo(state.clone(), root, numbers.narinfo, host).or(nar_or_rest).unify().boxed()
}

fn narinfo(state: Arc<State>, root: Root, number: usize, host: impl Host) -> impl HotRoute {
    hot(state.clone(), narinfo_name)
        .and(host)
        .and(warp::header::optional::<String>(AUTHORIZATION.as_str()))
        .and(warp::header::optional::<String>(IF_NONE_MATCH.as_str()))
        .and(warp::header::optional::<Present>(PEER_HEADER))
        .then(
            move |hot: Hot<StorePathHash>,
                  host: Option<String>,
                  authorization: Option<String>,
                  known: Option<String>,
                  peer: Option<Present>| {
                let (state, begun) = (state.clone(), Instant::now());
                async move {
                    let authorization = authorization.as_deref();
                    let cache = match root.cache_or(hot.by_path, &state, host.as_deref(), authorization) {
                        Ok(cache) => cache,
                        Err(error) => return without_cache(error, begun, hot.line),
                    };
                    let answer = async {
                        access::read(&state, &cache, authorization)?;
                        let asker = narinfo::Asker { authorization, is_peer: peer.is_some() };
                        narinfo::find(&state, &cache, &hot.name, known.as_deref(), asker).await
                    };
                    let response = reply(answer).await;
                    note(&cache, number, &response, begun, hot.line);
                    response
                }
            },
        )
}

fn nar(state: Arc<State>, root: Root, number: usize, host: impl Host) -> impl HotRoute {
    hot(state.clone(), nar_name)
        .and(host)
        .and(warp::header::optional::<String>(AUTHORIZATION.as_str()))
        .and(warp::header::optional::<String>(RANGE.as_str()))
        .and(warp::header::optional::<String>(IF_RANGE.as_str()))
        .and(warp::header::optional::<String>(IF_NONE_MATCH.as_str()))
        .and(warp::header::optional::<Present>(PEER_HEADER))
        .then(
            move |hot: Hot<NarFileName>,
                  host: Option<String>,
                  authorization: Option<String>,
                  range: Option<String>,
                  if_range: Option<String>,
                  known: Option<String>,
                  peer: Option<Present>| {
                let (state, begun) = (state.clone(), Instant::now());
                async move {
                    let authorization = authorization.as_deref();
                    let cache = match root.cache_or(hot.by_path, &state, host.as_deref(), authorization) {
                        Ok(cache) => cache,
                        Err(error) => return without_cache(error, begun, hot.line),
                    };
                    let request = NarRequest {
                        is_head: hot.is_head,
                        range: range.as_deref(),
                        if_range: if_range.as_deref(),
                        known: known.as_deref(),
                        is_from_peer: peer.is_some(),
                    };
                    let answer = async {
                        access::read(&state, &cache, authorization)?;
                        nar::send(&state, &cache, &hot.name, request).await
                    };
                    let response = reply(answer).await;
                    note(&cache, number, &response, begun, hot.line);
                    response
                }
            },
        )
}

/// The reply to a request for which there is no cache.
fn without_cache(error: HttpError, begun: Instant, line: Option<Line>) -> Response {
    let response = error.into_response();
    requests::note(&WITHOUT_CACHE, UNMATCHED, response.status(), begun);
    if let Some(line) = line {
        line.end(None, response.status());
    }
    response
}

/// Counts a reply, and logs it if it gets a line.
fn note(cache: &Cache, number: usize, response: &Response, begun: Instant, line: Option<Line>) {
    requests::note(&cache.counters.requests, number, response.status(), begun);
    if let Some(line) = line {
        line.end(Some(cache), response.status());
    }
}

/// A filter that answers.
trait HotRoute: Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {}
impl<F> HotRoute for F where
    F: Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static
{
}

/// A request for a narinfo or a NAR.
pub(super) struct Hot<T> {
    pub(super) name: T,
    is_head: bool,
    /// The cache that the path names. `None` if it is the one at the root.
    pub(super) by_path: Option<Arc<Cache>>,
    /// Its line of the log, if it gets one.
    line: Option<Line>,
}

/// The path that a narinfo is of.
pub(super) fn narinfo_name(path: &str) -> Option<StorePathHash> {
    path.strip_suffix(".narinfo")?.parse().ok()
}

/// The name of a NAR.
pub(super) fn nar_name(path: &str) -> Option<NarFileName> {
    NarFileName::parse(path.strip_prefix("nar/")?).ok()
}

impl<T> Hot<T> {
    pub(super) fn find(
        state: &State,
        method: &Method,
        path: &str,
        name: impl Fn(&str) -> Option<T>,
    ) -> Option<Self> {
        let is_head = method == Method::HEAD;
        if !is_head && method != Method::GET {
            return None;
        }
        let Some(below) = path.strip_prefix(CACHES) else {
            return Some(Self { name: name(path.strip_prefix('/')?)?, is_head, by_path: None, line: None });
        };
        let (cache, path) = below.split_once('/')?;
        Some(Self { name: name(path)?, is_head, by_path: Some(state.find_cache(cache)?), line: None })
    }
}

impl Root {
    /// Returns the cache that the path names, else the one at the root.
    fn cache_or(
        self,
        by_path: Option<Arc<Cache>>,
        state: &State,
        host: Option<&str>,
        authorization: Option<&str>,
    ) -> Result<Arc<Cache>, HttpError> {
        by_path
            .or_else(|| self.find_cache(state, host))
            .ok_or_else(|| self.no_cache(state, host, authorization))
    }
}

/// Takes requests for files that `name` recognises by their path below the cache.
fn hot<T: Send + 'static>(
    state: Arc<State>,
    name: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl Filter<Extract = (Hot<T>,), Error = Rejection> + Clone {
    warp::method().and(warp::path::full()).and_then(move |method: Method, path: FullPath| {
        let hot = Hot::find(&state, &method, path.as_str(), &name);
        let hot = hot.map(|hot| Hot { line: Line::begin(&method, path.as_str(), None), ..hot });
        ready(hot.ok_or_else(warp::reject::not_found))
    })
}

/// Stands for a header whose value does not matter.
struct Present;

impl FromStr for Present {
    type Err = Infallible;

    fn from_str(_: &str) -> Result<Self, Infallible> {
        Ok(Self)
    }
}
