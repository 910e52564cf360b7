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
use crate::http::state::State;

pub use part_url::PartUrlKey;

/// All endpoints of the API for caches.
pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([
        bulk_query::routes(state, site).boxed(),
        part::routes(state, site).boxed(),
        multipart::routes(state, site).boxed(),
        info::routes(state, site).boxed(),
        legacy::routes(state, site).boxed(),
        key::routes(state, site).boxed(),
        pin::routes(state, site).boxed(),
        nar_url::routes(state, site).boxed(),
    ])
}
