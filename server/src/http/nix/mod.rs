//! What Nix calls on a cache: the binary cache protocol, for reading and, with a write token, for `nix copy --to`.

mod cache_info;
mod debuginfo;
mod elsewhere;
mod listing;
mod log;
mod nar;
mod narinfo;
mod range;
mod realisation;
mod serve;
mod untracked;

use std::sync::Arc;

use warp::Filter;

use super::{HotSite, Route, Site};
use crate::app::App;

/// The two endpoints that nearly all requests go to. Kept apart so that they can come first.
pub(super) fn hot_routes(app: &Arc<App>, site: impl HotSite) -> impl Route {
    narinfo::get(app.clone(), site.clone()).or(nar::get(app.clone(), site)).unify().boxed()
}

/// All the other endpoints.
pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    narinfo::routes(app, site)
        .or(nar::routes(app, site))
        .unify()
        .or(cache_info::routes(app, site))
        .unify()
        .or(listing::routes(app, site))
        .unify()
        .or(log::routes(app, site))
        .unify()
        .or(realisation::routes(app, site))
        .unify()
        .or(debuginfo::routes(app, site))
        .unify()
        .or(serve::routes(app, site))
        .unify()
        .or(elsewhere::routes(app, site))
        .unify()
        .boxed()
}
