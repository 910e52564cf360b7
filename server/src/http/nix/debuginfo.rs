//! `debuginfo/BUILDID.debug`: which NAR holds a debug file. Made from the NAR when it is pushed.

use std::sync::Arc;

use http::StatusCode;
use nar_storage::layout;
use warp::Filter;

use super::untracked;
use crate::cache::Cache;
use crate::http::segment::FileName;
use crate::http::state::State;
use crate::http::{Route, Site, access, any_of, body, reply, status};

/// Largest link that a client may send.
const BODY_LIMIT: u64 = 64 << 10;

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([get(state.clone(), site.clone()).boxed(), put(state.clone(), site.clone()).boxed()])
}

fn get(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("debuginfo"))
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .then(move |cache: Arc<Cache>, name: FileName, authorization: Option<String>| {
            let state = state.clone();
            reply(async move {
                // Debuggers ask with and without the suffix.
                let build_id = name.0.strip_suffix(".debug").unwrap_or(&name.0);
                let key = layout::debuginfo_key(build_id).ok();
                untracked::send(&state, &cache, authorization.as_deref(), key, "application/json").await
            })
        })
}

/// Nix sends its links along (`index-debug-info`). Ours come from the verified NAR, so these are not needed.
fn put(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("debuginfo"))
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .and(warp::put())
        .and(access::authorization())
        .and(warp::body::stream())
        .then(move |cache: Arc<Cache>, _name: FileName, authorization: Option<String>, stream| {
            let state = state.clone();
            reply(async move {
                access::write(&state.tokens, &cache, authorization.as_deref())?;
                body::discard(stream, BODY_LIMIT).await?;
                Ok(status(StatusCode::OK))
            })
        })
}
