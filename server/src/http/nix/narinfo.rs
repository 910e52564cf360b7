//! `HASH.narinfo`: the endpoint that is asked most, and most often in vain.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use nix_formats::{Compression, NarFileName, NarInfo};
use warp::Filter;
use warp::reply::Response;

use super::encoding;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::chain::chain;
use crate::federation::Outcome;
use crate::http::error::HttpError;
use crate::http::forward::{self, RequestHead, request_head};
use crate::http::segment::NarinfoName;
use crate::http::state::State;
use crate::http::{Answer, HotSite, Route, Site, access, body, reply, status};
use crate::ingest::PathDescription;

/// Largest narinfo taken from a client. References make the size: 64 KiB hold about 1,000.
const BODY_LIMIT: usize = 4 << 20;

/// `GET` and `HEAD`.
pub(super) fn get(state: Arc<State>, site: impl HotSite) -> impl Route {
    site.and(warp::path::param::<NarinfoName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .and(warp::header::optional::<String>(IF_NONE_MATCH.as_str()))
        .and(access::from_peer())
        .then(
            move |cache: Arc<Cache>,
                  name: NarinfoName,
                  authorization: Option<String>,
                  known: Option<String>,
                  from_peer: bool| {
                let state = state.clone();
                async move {
                    let (authorization, known) = (authorization.as_deref(), known.as_deref());
                    reply(find(&state, &cache, &name, authorization, known, from_peer)).await
                }
            },
        )
}

async fn find(
    state: &State,
    cache: &Arc<Cache>,
    name: &NarinfoName,
    authorization: Option<&str>,
    known: Option<&str>,
    from_peer: bool,
) -> Answer {
    access::read(state, cache, authorization)?;
    if let Some(found) = cache.find_narinfo(&state.catalog, &name.0).await? {
        return Ok(found_reply(cache, &found.body, &found.etag, known));
    }
    if from_peer {
        return Ok(not_found());
    }
    // Boxed, as its future is large, and hits would carry it along.
    match Box::pin(state.federation.find(cache, &name.0)).await {
        Outcome::Found(found) => Ok(found_reply(cache, &found.body, &found.etag, known)),
        Outcome::Absent => Ok(not_found()),
        Outcome::Unfinished => Ok(ask_again()),
    }
}

fn found_reply(cache: &Cache, body: &Bytes, etag: &HeaderValue, known: Option<&str>) -> Response {
    let mut response = if known.is_some_and(|known| matches_etag(known, etag)) {
        status(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(body.clone().into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x-nix-narinfo"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, etag.clone());
    if !cache.is_public() {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    response
}

/// Misses are as frequent as hits, so this one is not formatted.
fn not_found() -> Response {
    passing(StatusCode::NOT_FOUND, "not found\n")
}

/// A reply that may be another one a moment later, as paths are pushed: caches in between must not keep it.
fn passing(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// While it is being found out whether somebody has the path. Nix takes a 404 for an hour, and tries again after this.
fn ask_again() -> Response {
    let text = "still looking for this path elsewhere; try again\n";
    let mut response = passing(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

pub(super) fn matches_etag(known: &str, etag: &HeaderValue) -> bool {
    known.split(',').map(str::trim).any(|candidate| {
        candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate).as_bytes() == etag.as_bytes()
    })
}

/// `PUT`, as `nix copy` sends it after the NAR.
pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path::param::<NarinfoName>())
        .and(warp::path::end())
        .and(warp::put())
        .and(access::authorization())
        .and(encoding::header())
        .and(request_head())
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  name: NarinfoName,
                  authorization: Option<String>,
                  encoding: Option<String>,
                  head: RequestHead,
                  stream| {
                let state = state.clone();
                reply(async move {
                    access::write(&state.tokens, &cache, authorization.as_deref())?;
                    let encoding = encoding::compression(encoding.as_deref())?;
                    let sent = body::read(stream, BODY_LIMIT).await?;
                    let text = encoding::unpack(sent.clone(), encoding, BODY_LIMIT, "the narinfo").await?;
                    let description = describe(&name, &text)?;
                    let wanted = (name.0, description.file_hash);
                    match state.ingest.commit_file(&cache, description).await {
                        Err(missing @ PushError::NarMissing(_)) => {
                            let head = head.within(cache.name(), &format!("{}.narinfo", name.0));
                            forward::to_holder(&state, &cache, wanted, &head, &sent, missing).await
                        }
                        committed => {
                            committed?;
                            Ok(status(StatusCode::OK))
                        }
                    }
                })
            },
        )
}

fn describe(name: &NarinfoName, text: &[u8]) -> Result<PathDescription, HttpError> {
    let text = std::str::from_utf8(text).map_err(|_| HttpError::bad_request("a narinfo is UTF-8 text"))?;
    let narinfo = NarInfo::parse(text)
        .map_err(|error| HttpError::bad_request(format!("malformed narinfo: {}", chain(&error))))?;
    if *narinfo.store_path.hash() != name.0 {
        return Err(HttpError::bad_request("the narinfo is for another store path than its name says"));
    }
    let file =
        narinfo.url.strip_prefix("nar/").and_then(|file| NarFileName::parse(file).ok()).ok_or_else(|| {
            HttpError::bad_request(
                "the narinfo's URL must be `nar/` and the name of a NAR file in this cache",
            )
        })?;
    // For some compressions Nix has no file name extension, so only the narinfo tells.
    if file.compression != Compression::None && file.compression != narinfo.compression {
        return Err(HttpError::bad_request(
            "the narinfo's Compression does not fit the name of its NAR file",
        ));
    }
    Ok(PathDescription::from_narinfo(narinfo, file.file_hash)?)
}
