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
use crate::app::App;
use crate::cache::push::PushError;
use crate::limits::decoder_memory::DecodersBusy;

/// The two endpoints that nearly all requests go to. Kept apart so that they can come first.
pub(super) fn hot_routes(app: &Arc<App>, site: impl HotSite) -> impl Route {
    narinfo::get(app.clone(), site.clone()).or(nar::get(app.clone(), site)).unify().boxed()
}

/// All the other endpoints.
pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    any_of([
        narinfo::routes(app, site).boxed(),
        nar::routes(app, site).boxed(),
        cache_info::routes(app, site).boxed(),
        listing::routes(app, site).boxed(),
        log::routes(app, site).boxed(),
        realisation::routes(app, site).boxed(),
        debuginfo::routes(app, site).boxed(),
        serve::routes(app, site).boxed(),
        elsewhere::routes(app, site).boxed(),
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
