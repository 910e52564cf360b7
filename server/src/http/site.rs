//! Which cache a request is for: by its path under the API, by its host name, or by the port it came to.

use std::sync::Arc;

use warp::{Filter, Rejection};

use super::error::HttpError;
use super::reject;
use crate::cache::Cache;
use crate::http::state::State;

/// The cache whose own port the request came to. A reload may have taken the port from it a moment ago.
pub fn by_port(
    state: Arc<State>,
    port: u16,
) -> impl Filter<Extract = (Arc<Cache>,), Error = Rejection> + Clone {
    warp::any().and_then(move || {
        let found = state.find_cache_by_port(port);
        std::future::ready(found.ok_or_else(warp::reject::not_found))
    })
}

/// The cache named by the first label of the host name, as in `NAME.HOST`.
pub fn by_host(state: Arc<State>) -> impl Filter<Extract = (Arc<Cache>,), Error = Rejection> + Clone {
    warp::header::<String>("host").and_then(move |host: String| {
        let found = state.find_cache_by_host(&host);
        std::future::ready(found.ok_or_else(warp::reject::not_found))
    })
}

/// The cache named by the path `/api/v1/cache/NAME`.
pub fn by_path(state: Arc<State>) -> impl Filter<Extract = (Arc<Cache>,), Error = Rejection> + Clone {
    warp::path!("api" / "v1" / "cache" / String / ..).and_then(move |name: String| {
        let found = state.find_cache(&name);
        std::future::ready(found.ok_or_else(|| reject(HttpError::unknown_cache(&name))))
    })
}
