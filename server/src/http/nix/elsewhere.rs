//! `elsewhere/TICKET/FILE`: the NAR of a path that another cache has, under the URL that our narinfo of it says.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE,
};
use http::{HeaderValue, Method, StatusCode};
use warp::Filter;
use warp::reply::{Reply, Response};

use super::nar::blob_response;
use super::range::{Requested, requested};
use crate::cache::Cache;
use crate::federation::{FetchError, Fetched, TicketText};
use crate::http::error::HttpError;
use crate::http::segment::NarName;
use crate::http::state::State;
use crate::http::{Answer, Route, Site, access, reply};
use crate::listeners::serve::UnknownLength;

/// Whatever changes the bytes on their way makes them another file than the narinfo says.
const UNCHANGED: HeaderValue = HeaderValue::from_static("no-transform");
const UNCHANGED_PRIVATE: HeaderValue = HeaderValue::from_static("private, no-transform");

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path("elsewhere"))
        .and(warp::path::param::<String>())
        .and(warp::path::param::<NarName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(warp::method())
        .and(access::authorization())
        .and(warp::header::optional::<String>(RANGE.as_str()))
        .and(warp::header::optional::<String>(IF_RANGE.as_str()))
        .then(move |cache: Arc<Cache>, ticket, file, method, authorization, range, if_range| {
            let state = state.clone();
            reply(async move {
                let authorization: Option<String> = authorization;
                access::read(&state, &cache, authorization.as_deref())?;
                // What is had from elsewhere has no tag that a range could be asked for.
                let range: Option<String> = range;
                let range = range.filter(|_: &String| Option::<String>::is_none(&if_range));
                send(&state, &cache, ticket, &file, &method, range.as_deref()).await
            })
        })
}

async fn send(
    state: &State,
    cache: &Arc<Cache>,
    ticket: String,
    file: &NarName,
    method: &Method,
    range: Option<&str>,
) -> Answer {
    let ticket = state.federation.open_ticket(&TicketText(ticket), &file.0, cache);
    let ticket = ticket.ok_or_else(HttpError::not_found)?;
    let mut response = Response::default();
    let mut size = ticket.file_size;
    let mut start = 0;
    if method == Method::GET {
        match state.federation.fetch(cache, &ticket).await.map_err(refusal)? {
            Fetched::Here(blob) => {
                size = Some(blob.len());
                response = blob_response(blob);
            }
            Fetched::Stream { pieces, size: known } => {
                size = known;
                start = range.zip(size).map_or(0, |(range, size)| start_of_rest(range, size));
                response = warp::reply::stream(without(pieces, start)).into_response();
            }
        }
    }
    if let Some(size) = size {
        if start > 0 {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {start}-{}/{size}", size - 1);
            let value = HeaderValue::try_from(text).map_err(|error| HttpError::internal(&error))?;
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size - start));
        response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    } else {
        response.extensions_mut().insert(UnknownLength);
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, if cache.is_public() { UNCHANGED } else { UNCHANGED_PRIVATE });
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-nix-nar"));
    Ok(response)
}

fn refusal(error: FetchError) -> HttpError {
    match error {
        FetchError::Absent => HttpError::not_found(),
        FetchError::Busy => HttpError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Where a range begins that goes up to the end, as it is asked for after a transfer broke off; 0 for any other. What is
/// wrong is noticed at the end of a file, so nobody gets another part of it by itself.
fn start_of_rest(range: &str, size: u64) -> u64 {
    match requested(range, size) {
        Requested::Part(part) if part.end == size => part.start,
        _ => 0,
    }
}

/// The pieces without the first `left_out` bytes. These are fetched all the same: only the whole can be checked.
fn without(
    pieces: impl Stream<Item = io::Result<Bytes>>,
    mut left_out: u64,
) -> impl Stream<Item = io::Result<Bytes>> {
    pieces.filter_map(move |piece| {
        let piece = piece.map(|mut piece| {
            let skipped = usize::try_from(left_out).unwrap_or(usize::MAX).min(piece.len());
            left_out -= skipped as u64;
            piece.split_off(skipped)
        });
        let is_wanted = piece.as_ref().map_or(true, |piece| !piece.is_empty());
        std::future::ready(is_wanted.then_some(piece))
    })
}
