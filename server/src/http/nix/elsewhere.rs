//! `elsewhere/TICKET/FILE`: the NAR of a path that another cache has, under the URL that our narinfo of it says.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method};
use warp::Filter;
use warp::reply::{Reply, Response};

use super::nar::blob_response;
use crate::app::App;
use crate::cache::Cache;
use crate::federation::{Fetched, TicketText};
use crate::http::error::HttpError;
use crate::http::segment::NarName;
use crate::http::{Answer, Route, Site, access, reply};

pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    let app = app.clone();
    site.clone()
        .and(warp::path("elsewhere"))
        .and(warp::path::param::<String>())
        .and(warp::path::param::<NarName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(warp::method())
        .and(access::authorization())
        .then(
            move |cache: Arc<Cache>, ticket: String, file: NarName, method, authorization: Option<String>| {
                let app = app.clone();
                reply(
                    async move { send(&app, &cache, ticket, &file, method, authorization.as_deref()).await },
                )
            },
        )
}

async fn send(
    app: &App,
    cache: &Arc<Cache>,
    ticket: String,
    file: &NarName,
    method: Method,
    authorization: Option<&str>,
) -> Answer {
    access::read(app, cache, authorization)?;
    let ticket = app.federation.open_ticket(&TicketText(ticket), &file.0, cache);
    let ticket = ticket.ok_or_else(HttpError::not_found)?;
    let mut response = if method == Method::HEAD {
        Response::default()
    } else {
        match app.federation.fetch(cache, &ticket).await.ok_or_else(HttpError::not_found)? {
            Fetched::Here(blob) => blob_response(blob),
            Fetched::Stream(stream) => warp::reply::stream(stream).into_response(),
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(ticket.file_size));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-nix-nar"));
    Ok(response)
}
