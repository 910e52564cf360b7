//! `POST /v1/reload`.

use std::sync::Arc;

use admin_api::{ApiError, ErrorCode};
use warp::Filter;

use super::error::failure;
use super::reply;
use crate::app::App;
use crate::http::Route;
use crate::http::error::chain;
use crate::reload::{ReloadError, advice, reload};

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("v1" / "reload").and(warp::post()).then(move || {
        let app = app.clone();
        reply(async move {
            // Goes on even if whoever asked goes away.
            let reloading = tokio::spawn(async move { reload(&app).await });
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
