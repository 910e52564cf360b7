//! `GET /v1/status`.

use std::sync::Arc;

use admin_api::{API_VERSION, Listener, Status};
use warp::Filter;

use super::summary::{cache_summaries, storage_summaries};
use super::{Answer, reply};
use crate::app::App;
use crate::http::Route;
use crate::listeners::ListenerInfo;

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("v1" / "status").and(warp::get()).then(move || {
        let app = app.clone();
        reply(async move { status(&app).await })
    })
}

async fn status(app: &App) -> Answer<Status> {
    let mut storages = Vec::new();
    for cache in app.caches().iter() {
        storages.extend(storage_summaries(app, cache).await?);
    }
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: API_VERSION,
        started_at: app.started_at.0,
        uptime_seconds: app.started.elapsed().as_secs(),
        config: app.config().source.as_ref().map(|path| path.display().to_string()),
        state_dir: app.config().server.state_dir.display().to_string(),
        listeners: app.listeners.infos().into_iter().map(listener).collect(),
        caches: cache_summaries(app).await?,
        storages,
    })
}

fn listener(info: ListenerInfo) -> Listener {
    Listener { purpose: info.purpose, address: info.address, cache: info.cache, error: info.error }
}
