//! `nar/FILE`: the bytes.

use std::str::FromStr;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
    LOCATION, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use nar_storage::{Blob, BlobBody};
use nix_formats::NarFileName;
use warp::Filter;
use warp::reply::{Reply, Response};

use super::narinfo::matches_etag;
use super::range::{Requested, requested};
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::segment::{NarName, NoMatch};
use crate::http::state::State;
use crate::http::{Answer, HotSite, Route, Site, access, any_of, body, reply, status};

/// The name of a NAR is the hash of its bytes, so they never change, and nobody on their way may change them.
const IMMUTABLE_PUBLIC: HeaderValue =
    HeaderValue::from_static("public, max-age=31536000, immutable, no-transform");
const IMMUTABLE_PRIVATE: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable, no-transform");

/// `GET` and `HEAD`.
pub(super) fn get(state: Arc<State>, site: impl HotSite) -> impl Route {
    site.and(warp::path("nar"))
        .and(warp::path::param::<NarName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(warp::method())
        .and(access::authorization())
        .and(warp::header::optional::<String>(RANGE.as_str()))
        .and(warp::header::optional::<String>(IF_RANGE.as_str()))
        .and(warp::header::optional::<String>(IF_NONE_MATCH.as_str()))
        .and(access::from_peer())
        .then(move |cache, name, method, authorization, range, if_range, known, from_peer| {
            let state = state.clone();
            async move {
                let conditions = Conditions { range, if_range, known };
                reply(send(&state, cache, name, method, authorization, conditions, from_peer)).await
            }
        })
}

/// What a client has already, and what it wants.
struct Conditions {
    range: Option<String>,
    if_range: Option<String>,
    /// `If-None-Match`.
    known: Option<String>,
}

async fn send(
    state: &State,
    cache: Arc<Cache>,
    name: NarName,
    method: Method,
    authorization: Option<String>,
    conditions: Conditions,
    from_peer: bool,
) -> Answer {
    access::read(state, &cache, authorization.as_deref())?;
    let nar = cache.find_nar(&state.catalog, &name.0).await?.ok_or_else(HttpError::not_found)?;
    let etag = nar.etag.clone();
    let Conditions { range, if_range, known } = conditions;
    if known.is_some_and(|known| matches_etag(&known, &etag)) {
        return Ok(not_modified(etag, cache.is_public()));
    }
    // A range is only good for the version it was asked for; ours never change, so any other tag is a mistake.
    let range = range.filter(|_| if_range.as_ref().is_none_or(|tag| tag.as_bytes() == etag.as_bytes()));
    let requested = range.map_or(Requested::Whole, |range| requested(&range, nar.size));
    let wanted = match &requested {
        Requested::Unsatisfiable => return Ok(unsatisfiable(nar.size)),
        // Opening it proves that the file is there; a HEAD needs none of its bytes.
        _ if method == Method::HEAD => Some(0..0),
        Requested::Whole => None,
        Requested::Part(part) => Some(part.clone()),
    };
    // Nodes follow no links to where they cannot know who that is.
    if method == Method::GET
        && !from_peer
        && let Some(link) = cache.link_to(&nar).await
    {
        return Ok(found_at(&link));
    }
    let blob =
        cache.open_nar(&state.catalog, &name.0, &nar, wanted).await?.ok_or_else(HttpError::not_found)?;
    let mut response = if method == Method::HEAD { Response::default() } else { blob_response(blob) };
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

/// Sends the client to the service that keeps the NAR. The link is only good for a while, so nobody may keep the answer.
fn found_at(link: &HeaderValue) -> Response {
    let mut response = status(StatusCode::FOUND);
    response.headers_mut().insert(LOCATION, link.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn immutable(public: bool) -> HeaderValue {
    if public { IMMUTABLE_PUBLIC } else { IMMUTABLE_PRIVATE }
}

/// The client has the file.
fn not_modified(etag: HeaderValue, public: bool) -> Response {
    let mut response = status(StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, immutable(public));
    headers.insert(ETAG, etag);
    response
}

fn describe(headers: &mut HeaderMap, length: u64, etag: HeaderValue, public: bool) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-nix-nar"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, immutable(public));
    headers.insert(ETAG, etag);
}

/// A reply with these bytes. A blob that turns out shorter than promised ends in an error, which cuts the connection
/// before the announced length, so that no client takes it for the whole.
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

/// `PUT`, as `nix copy` sends it.
pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([put(state.clone(), site.clone()).boxed(), put_other(state.clone(), site.clone()).boxed()])
}

fn put(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("nar"))
        .and(warp::path::param::<NarName>())
        .and(warp::path::end())
        .and(warp::put())
        .and(access::authorization())
        .and(warp::header::optional::<u64>(CONTENT_LENGTH.as_str()))
        .and(warp::body::stream())
        .then(move |cache: Arc<Cache>, name: NarName, authorization: Option<String>, length, stream| {
            let state = state.clone();
            reply(async move {
                let owner = access::write(&state.tokens, &cache, authorization.as_deref())?;
                let (owner, body) = (Some(owner), body::pieces(stream));
                state
                    .uploads
                    .put_file(&cache, owner, name.0.compression, Some(&name.0), length, body)
                    .await?;
                Ok(status(StatusCode::OK))
            })
        })
}

/// The name of a file below `nar/` that is not a NAR here, such as one that is compressed with lz4.
struct OtherName(String);

impl FromStr for OtherName {
    type Err = NoMatch;

    fn from_str(segment: &str) -> Result<Self, NoMatch> {
        if NarFileName::parse(segment).is_ok() { Err(NoMatch) } else { Ok(Self(segment.to_owned())) }
    }
}

/// Takes every method, so that reading such a file is answered as reading any other that is not there.
fn put_other(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("nar"))
        .and(warp::path::param::<OtherName>())
        .and(warp::path::end())
        .and(warp::method())
        .and(access::authorization())
        .then(move |cache: Arc<Cache>, name: OtherName, method: Method, authorization: Option<String>| {
            let state = state.clone();
            reply(async move {
                if method != Method::PUT {
                    return Err(HttpError::not_found());
                }
                access::write(&state.tokens, &cache, authorization.as_deref())?;
                Err(refusal(&name.0))
            })
        })
}

fn refusal(name: &str) -> HttpError {
    let plain = name.split_once('.').map(|(hash, _)| format!("{hash}.nar"));
    let extension = name.split_once(".nar.").map(|(_, extension)| extension);
    match (extension, plain) {
        // All that is wrong is how it is compressed.
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
