//! Realisations of content-addressed derivations: `realisations/ID.doi` (Nix up to at least 2.28) and
//! `build-trace-v2/DRV/OUTPUT.doi` (newer).

use std::sync::Arc;

use nar_storage::{Key, layout};
use warp::{Filter, Rejection};

use super::untracked;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::segment::FileName;
use crate::http::state::State;
use crate::http::{Route, Site, access, any_of, body, reply};

/// Largest realisation taken from a client.
const BODY_LIMIT: usize = 1 << 20;

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let old = warp::path("realisations")
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .map(|name: FileName| name.0.strip_suffix(".doi").and_then(|id| layout::realisation_key(id).ok()));
    let new = warp::path("build-trace-v2")
        .and(warp::path::param::<FileName>())
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .map(|drv: FileName, file: FileName| {
            file.0.strip_suffix(".doi").and_then(|output| layout::build_trace_key(&drv.0, output).ok())
        });
    let key = old.or(new).unify();
    any_of([get(state.clone(), site.clone(), key).boxed(), put(state.clone(), site.clone(), key).boxed()])
}

/// A filter that says which file a request is about; `None` for a name that no realisation can have.
trait KeyFilter: Filter<Extract = (Option<Key>,), Error = Rejection> + Clone + Send + Sync + 'static {}
impl<F> KeyFilter for F where
    F: Filter<Extract = (Option<Key>,), Error = Rejection> + Clone + Send + Sync + 'static
{
}

fn get(state: Arc<State>, site: Site, key: impl KeyFilter) -> impl Route {
    site.and(key).and(warp::get().or(warp::head()).unify()).and(access::authorization()).then(
        move |cache: Arc<Cache>, key: Option<Key>, authorization: Option<String>| {
            let state = state.clone();
            reply(async move {
                untracked::send(&state, &cache, authorization.as_deref(), key, "application/json").await
            })
        },
    )
}

fn put(state: Arc<State>, site: Site, key: impl KeyFilter) -> impl Route {
    site.and(key).and(warp::put()).and(access::authorization()).and(warp::body::stream()).then(
        move |cache: Arc<Cache>, key: Option<Key>, authorization: Option<String>, stream| {
            let state = state.clone();
            reply(async move {
                access::write(&state.tokens, &cache, authorization.as_deref())?;
                let key = key.ok_or_else(|| HttpError::bad_request("this is no name of a realisation"))?;
                let contents = body::read(stream, BODY_LIMIT).await?;
                if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&contents).is_err() {
                    return Err(HttpError::bad_request("a realisation is a JSON object"));
                }
                untracked::store(&cache, &key, contents.clone()).await
            })
        },
    )
}
