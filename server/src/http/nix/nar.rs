//! `nar/FILE`: the NARs themselves.

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use nar_storage::{Blob, BlobBody};
use nix_formats::NarFileName;
use warp::reply::{Reply, Response};

use super::narinfo::matches_etag;
use super::range::{Requested, requested};
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::router::{Nothing, OtherName, Read, Request, Write};
use crate::http::state::State;
use crate::http::{Answer, status};

/// A NAR is named by the hash of its bytes, so they never change, and no proxy may change them.
const IMMUTABLE_PUBLIC: HeaderValue =
    HeaderValue::from_static("public, max-age=31536000, immutable, no-transform");
const IMMUTABLE_PRIVATE: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable, no-transform");

/// `GET nar/FILE`. The router has a shortcut to [`send`].
pub async fn get(request: Request<Read, NarFileName>) -> Answer {
    let Request { state, cache, path: name, head, .. } = request;
    let request = NarRequest {
        is_head: head.is_head(),
        range: head.header("range")?,
        if_range: head.header("if-range")?,
        known: head.header("if-none-match")?,
        is_from_peer: head.is_from_peer()?,
    };
    send(&state, &cache, &name, request).await
}

/// What matters of a request for a NAR.
pub struct NarRequest<'a> {
    pub is_head: bool,
    pub range: Option<&'a str>,
    pub if_range: Option<&'a str>,
    /// `If-None-Match`.
    pub known: Option<&'a str>,
    pub is_from_peer: bool,
}

/// Answers with a NAR.
pub async fn send(state: &State, cache: &Arc<Cache>, name: &NarFileName, request: NarRequest<'_>) -> Answer {
    let nar = cache.find_nar(&state.catalog, name).await?.ok_or_else(HttpError::not_found)?;
    let etag = nar.etag.clone();
    let NarRequest { is_head, range, if_range, known, is_from_peer } = request;
    if known.is_some_and(|known| matches_etag(known, &etag)) {
        return Ok(not_modified(etag, cache.is_public()));
    }
    // A range is valid for one version of a file only. A NAR never changes, so any other tag is a mistake.
    let range = range.filter(|_| if_range.is_none_or(|tag| tag.as_bytes() == etag.as_bytes()));
    let requested = range.map_or(Requested::Whole, |range| requested(range, nar.size));
    let wanted = match &requested {
        Requested::Unsatisfiable => return Ok(unsatisfiable(nar.size)),
        // Opening it proves that the file is there; a HEAD needs none of its bytes.
        _ if is_head => Some(0..0),
        Requested::Whole => None,
        Requested::Part(part) => Some(part.clone()),
    };
    let is_begun = matches!(&requested, Requested::Part(part) if part.start > 0);
    if !is_head && !is_begun && cache.note_nar_read(&name.file_hash, &nar) {
        state.nar_store.look_for_moves();
    }
    // Nodes do not follow links to servers that they cannot identify.
    if !is_head
        && !is_from_peer
        && let Some(link) = cache.link_to(&nar).await
    {
        return Ok(found_at(&link));
    }
    let blob = cache.open_nar(&state.catalog, name, &nar, wanted).await?.ok_or_else(HttpError::not_found)?;
    let mut response = if is_head { Response::default() } else { blob_response(blob) };
    let headers = response.headers_mut();
    let length = match requested {
        Requested::Part(part) => {
            let text = format!("bytes {}-{}/{}", part.start, part.end - 1, nar.size);
            headers.insert(
                CONTENT_RANGE,
                HeaderValue::try_from(text).map_err(|error| HttpError::internal(&error))?,
            );
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            part.end - part.start
        }
        _ => nar.size,
    };
    describe(response.headers_mut(), length, etag, cache.is_public());
    Ok(response)
}

/// Redirects the client to the service that stores the NAR. The link expires, so the reply must not be kept.
fn found_at(link: &HeaderValue) -> Response {
    let mut response = status(StatusCode::FOUND);
    response.headers_mut().insert(LOCATION, link.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn immutable(public: bool) -> HeaderValue {
    if public { IMMUTABLE_PUBLIC } else { IMMUTABLE_PRIVATE }
}

/// The client has the file already.
fn not_modified(etag: HeaderValue, public: bool) -> Response {
    let mut response = status(StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, immutable(public));
    headers.insert(ETAG, etag);
    response
}

/// Adds the headers of a reply with this many bytes of a NAR.
pub fn describe(headers: &mut HeaderMap, length: u64, etag: HeaderValue, public: bool) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-nix-nar"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, immutable(public));
    headers.insert(ETAG, etag);
}

/// A reply with these bytes. A blob that turns out shorter than announced ends in an error, which cuts the connection, so that
/// no client takes the part for the whole.
pub(super) fn blob_response(blob: Blob) -> Response {
    match blob.into_body() {
        BlobBody::Bytes(bytes) => Response::new(bytes.into()),
        BlobBody::Stream(stream) => warp::reply::stream(stream).into_response(),
    }
}

fn unsatisfiable(size: u64) -> Response {
    let mut response = status(StatusCode::RANGE_NOT_SATISFIABLE);
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

/// `PUT nar/FILE`, which `nix copy` sends before the narinfo.
pub async fn put(request: Request<Write, NarFileName>) -> Answer {
    let Request { state, cache, grant: owner, path: name, head, body } = request;
    if !name.compression.is_pushed() {
        return Err(refusal(&name.to_string()));
    }
    let length = head.content_length()?;
    state.uploads.put_file(&cache, Some(owner), name.compression, Some(&name), length, body).await?;
    Ok(status(StatusCode::OK))
}

/// `GET` of a name that no NAR can have. There is no such file.
pub async fn get_other(_: Request<Nothing, OtherName>) -> Answer {
    Err(HttpError::not_found())
}

/// `PUT` of a name that no NAR can have. The reply says what is wrong with the name.
pub async fn put_other(request: Request<Write, OtherName>) -> Answer {
    Err(refusal(&request.path.0))
}

fn refusal(name: &str) -> HttpError {
    let plain = name.split_once('.').map(|(hash, _)| format!("{hash}.nar"));
    let extension = name.split_once(".nar.").map(|(_, extension)| extension);
    match (extension, plain) {
        // Only the compression is wrong.
        (Some(extension), Some(plain)) if NarFileName::parse(&plain).is_ok() => {
            let shown: String = extension.chars().take(20).collect();
            HttpError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "NARs with the extension `.{shown}` are not supported; \
                     compress with zstd, xz, bzip2, gzip, br or none, as in `?compression=zstd`"
                ),
            )
        }
        _ => HttpError::bad_request(
            "a NAR file is named by its SHA-256 in base 32 or hex, then `.nar` and `.zst`, `.xz`, `.bz2`, `.gz`, `.br` or \
             nothing",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_with_what_is_wrong_with_it() {
        let hash = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";
        for extension in ["lz4", "lzip", "lzma", "Z", "zst.lz4", ""] {
            let text = format!("{:?}", refusal(&format!("{hash}.nar.{extension}")));
            assert!(text.contains(&format!("`.{extension}`")) && text.contains("415"), "{text}");
        }
        for name in ["", "x", "x.nar.zst", &format!("{hash}.zst"), hash] {
            assert!(format!("{:?}", refusal(name)).contains("400"), "{name}");
        }
    }
}
