//! `elsewhere/TICKET/FILE`: the NAR of a path that another cache has, at the URL that our narinfo of the path gives.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use nix_formats::NarFileName;
use warp::reply::{Reply, Response};

use super::nar::blob_response;
use super::range::{Requested, requested};
use super::resumable::{turn_from, watched};
use crate::federation::{FetchError, Fetched, TicketText};
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{Read, Request};
use crate::limits::slots::Slots;
use crate::listeners::serve::UnknownLength;

/// A proxy that changed the bytes would make them another file than the one that the narinfo describes.
const UNCHANGED: HeaderValue = HeaderValue::from_static("no-transform");
const UNCHANGED_PRIVATE: HeaderValue = HeaderValue::from_static("private, no-transform");

/// Files that one client may fetch at a time: a quarter of all that are passed on.
static SLOTS: Slots = Slots::new(32);

/// `GET elsewhere/TICKET/FILE`.
pub async fn get(request: Request<Read, (String, NarFileName)>) -> Answer {
    let Request { state, cache, path: (ticket, file), head, .. } = request;
    let range = head.header("range")?;
    // These files have no tag, so a range that depends on one is ignored.
    let range = if head.header("if-range")?.is_none() { range } else { None };
    let text = TicketText(ticket);
    let ticket = state.federation.open_ticket(&text, &file, &cache);
    let ticket = ticket.ok_or_else(HttpError::not_found)?;
    let mut response = Response::default();
    let mut size = ticket.file_size;
    let mut start = 0;
    let slot = SLOTS.take(head.client).ok_or_else(too_many)?;
    if !head.is_head() {
        match state.federation.fetch(&cache, &ticket).await.map_err(refusal)? {
            Fetched::Here(blob) => {
                size = Some(blob.len());
                response = blob_response(blob);
            }
            Fetched::Stream { pieces, size: known } => {
                size = known;
                let wanted = range.zip(size).map_or(0, |(range, size)| start_of_rest(range, size));
                let turn = turn_from(&text, wanted);
                start = turn.start;
                let pieces = watched(without(pieces, start), text, &turn).inspect(move |_| _ = &slot);
                response = warp::reply::stream(pieces).into_response();
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

fn too_many() -> HttpError {
    let reason = "this address fetches too many files from elsewhere at once; try again later";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, reason)
}

fn refusal(error: FetchError) -> HttpError {
    match error {
        FetchError::Absent => HttpError::not_found(),
        FetchError::Busy => HttpError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Returns where a range begins that ends with the file, as clients request after a broken transfer; 0 for any other range. The
/// bytes are verified at the end of the file, so no part without the end is sent on its own.
fn start_of_rest(range: &str, size: u64) -> u64 {
    match requested(range, size) {
        Requested::Part(part) if part.end == size => part.start,
        _ => 0,
    }
}

/// Leaves out the first `left_out` bytes. They are fetched all the same: only the whole file can be verified.
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
