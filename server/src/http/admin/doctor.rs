//! `GET /v1/doctor`.

use std::sync::Arc;

use admin_api::ApiError;
use warp::Filter;

use super::reply;
use crate::app::App;
use crate::doctor::examine;
use crate::http::Route;

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("v1" / "doctor").and(warp::get()).then(move || {
        let app = app.clone();
        reply(async move { Ok::<_, ApiError>(examine(&app).await) })
    })
}
