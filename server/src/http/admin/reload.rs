//! `POST /v1/reload`.

use std::sync::Arc;

use admin_api::{ApiError, ErrorCode};
use warp::Filter;

use super::error::failure;
use super::reply;
use crate::chain::chain;
use crate::http::Route;
use crate::http::state::State;
use crate::reload::{ReloadError, advice, reload};

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("v1" / "reload").and(warp::post()).then(move || {
        let state = state.clone();
        reply(async move {
            // Goes on even if whoever asked goes away.
            let reloading = tokio::spawn(async move { reload(&state.reloader).await });
            reloading.await.map_err(ReloadError::Interrupted).flatten().map_err(|error| refusal(&error))
        })
    })
}

fn refusal(error: &ReloadError) -> ApiError {
    let code = match error {
        ReloadError::NoFile => ErrorCode::Conflict,
        error if error.is_of_the_file() => ErrorCode::Invalid,
        _ => ErrorCode::Internal,
    };
    failure(code, chain(error), advice(error).as_deref())
}
