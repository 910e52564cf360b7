//! What the `cachix` client calls: the API under `/api/v1/cache/NAME`.
//!
//! Every success is exactly 200: the client takes any other code for a failure (protocol reference 1.2).

mod bulk_query;
mod compression;
mod hash_list;
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

use super::{Route, Site, any_of};
use crate::app::App;

pub use part_url::PartUrlKey;

/// All endpoints of the API for caches.
pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    any_of([
        bulk_query::routes(app, site).boxed(),
        part::routes(app, site).boxed(),
        multipart::routes(app, site).boxed(),
        info::routes(app, site).boxed(),
        legacy::routes(app, site).boxed(),
        key::routes(app, site).boxed(),
        pin::routes(app, site).boxed(),
        nar_url::routes(app, site).boxed(),
    ])
}
