//! What the `cachix` client calls: the API under `/api/v1/cache/NAME`.
//!
//! Every success is exactly 200: the client takes any other code for a failure (protocol reference 1.2).

mod bulk_query;
mod compression;
mod info;
mod key;
mod legacy;
mod multipart;
mod nar_info_create;
mod nar_url;
mod part;
mod part_url;
mod pin;

use std::sync::Arc;

use warp::Filter;

use super::{Route, Site};
use crate::app::App;

pub use part_url::PartUrlKey;

/// All endpoints of the API for caches.
pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    bulk_query::routes(app, site)
        .or(part::routes(app, site))
        .unify()
        .or(multipart::routes(app, site))
        .unify()
        .or(info::routes(app, site))
        .unify()
        .or(legacy::routes(app, site))
        .unify()
        .or(key::routes(app, site))
        .unify()
        .or(pin::routes(app, site))
        .unify()
        .or(nar_url::routes(app, site))
        .unify()
        .boxed()
}
