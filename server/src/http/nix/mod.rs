//! What Nix calls on a cache: the binary cache protocol, for reading and, with a write token, for `nix copy --to`.

mod cache_info;
mod debuginfo;
mod elsewhere;
mod encoding;
mod listing;
mod log;
mod nar;
mod narinfo;
mod range;
mod realisation;
mod serve;
mod untracked;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use warp::Filter;

use super::error::HttpError;
use super::{HotSite, Route, Site, any_of};
use crate::cache::PushError;
use crate::http::state::State;
use crate::limits::decoder_memory::DecodersBusy;

/// The two endpoints that nearly all requests go to. Kept apart so that they can come first.
pub(super) fn hot_routes(state: &Arc<State>, site: impl HotSite) -> impl Route {
    narinfo::get(state.clone(), site.clone()).or(nar::get(state.clone(), site)).unify().boxed()
}

/// All the other endpoints.
pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([
        narinfo::routes(state, site).boxed(),
        nar::routes(state, site).boxed(),
        cache_info::routes(state, site).boxed(),
        listing::routes(state, site).boxed(),
        log::routes(state, site).boxed(),
        realisation::routes(state, site).boxed(),
        debuginfo::routes(state, site).boxed(),
        serve::routes(state, site).boxed(),
        elsewhere::routes(state, site).boxed(),
    ])
}

/// A turn to unpack something, from the turns of its kind. Waits for it for at most `patience`.
async fn turn_of(
    turns: &'static Semaphore,
    patience: Duration,
) -> Result<SemaphorePermit<'static>, HttpError> {
    match tokio::time::timeout(patience, turns.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(PushError::Busy(DecodersBusy).into()),
    }
}
