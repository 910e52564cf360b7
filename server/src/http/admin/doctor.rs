//! `GET /v1/doctor`.

use std::sync::Arc;

use admin_api::ApiError;
use warp::Filter;

use super::reply;
use crate::doctor::{Patient, examine};
use crate::http::Route;
use crate::http::state::State;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("v1" / "doctor").and(warp::get()).then(move || {
        let state = state.clone();
        reply(async move {
            let patient = Patient {
                core: &state,
                workers: &state.workers,
                listeners: &state.listeners,
                origin: &state.origin,
            };
            Ok::<_, ApiError>(examine(&patient).await)
        })
    })
}
