//! `HASH.narinfo`: the busiest endpoint. Most requests are for paths that the cache does not have.

use std::sync::Arc;

use bytes::Bytes;
use catalog::TokenPermission;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use nix_formats::{Compression, NarFileName, NarInfo, StorePathHash};
use warp::reply::Response;

use super::encoding;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::chain::chain;
use crate::federation::Outcome;
use crate::http::error::HttpError;
use crate::http::router::{Read, Request, Write};
use crate::http::state::State;
use crate::http::{Answer, access, body, done, forward, status};
use crate::ingest::PathDescription;

/// Largest narinfo that a client may send. Its references determine its size: 64 KiB hold about 1,000.
const BODY_LIMIT: usize = 4 << 20;

/// The text of the reply for a path that is not to be had.
pub const NOT_FOUND: &str = "not found\n";

/// `GET HASH.narinfo`. The router has a shortcut to [`find`].
pub async fn get(request: Request<Read, StorePathHash>) -> Answer {
    let Request { state, cache, path: hash, head, .. } = request;
    let asker = Asker { authorization: head.authorization()?, is_peer: head.is_from_peer()? };
    find(&state, &cache, &hash, head.header("if-none-match")?, asker).await
}

/// Who asks for a narinfo.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Whether it is another node.
    pub is_peer: bool,
}

impl Asker<'_> {
    /// Whether the client may push to the cache: then it may ask to find out what it has to push.
    fn may_push(self, state: &State, cache: &Cache) -> bool {
        let granted = access::read_api(&state.tokens, cache, self.authorization);
        granted.is_ok_and(|granted| granted >= Some(TokenPermission::Write))
    }
}

/// Answers with the narinfo of a path. `known` is the `If-None-Match` header. Another node gets only what is here: it searches
/// the rest of the network by itself.
pub async fn find(
    state: &State,
    cache: &Arc<Cache>,
    hash: &StorePathHash,
    known: Option<&str>,
    asker: Asker<'_>,
) -> Answer {
    let counters = &cache.counters;
    if let Some(found) = cache.find_narinfo(&state.catalog, hash).await? {
        counters.narinfo_hits.increment();
        return Ok(found_reply(cache.is_public(), &found.body, &found.etag, known));
    }
    if asker.is_peer {
        counters.narinfo_misses.increment();
        return Ok(not_found());
    }
    // Boxed, as its future is large, and hits would carry it along.
    let found = match !cache.config().upstreams.is_empty() && asker.may_push(state, cache) {
        true => Box::pin(state.federation.find_for_pusher(cache, hash)).await,
        false => Box::pin(state.federation.find(cache, hash)).await,
    };
    match found {
        Outcome::Found(found) => {
            let counter =
                if found.is_upstream { &counters.narinfo_upstream } else { &counters.narinfo_federated };
            counter.increment();
            Ok(found_reply(cache.is_public(), &found.body, &found.etag, known))
        }
        Outcome::Absent => {
            counters.narinfo_misses.increment();
            Ok(not_found())
        }
        Outcome::Unfinished => {
            counters.narinfo_unfinished.increment();
            Ok(ask_again())
        }
    }
}

/// The reply with a narinfo.
pub fn found_reply(is_public: bool, body: &Bytes, etag: &HeaderValue, known: Option<&str>) -> Response {
    let mut response = if known.is_some_and(|known| matches_etag(known, etag)) {
        status(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(body.clone().into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x-nix-narinfo"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, etag.clone());
    if !is_public {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    response
}

/// Misses are as frequent as hits, so nothing is formatted here.
pub fn not_found() -> Response {
    passing(StatusCode::NOT_FOUND, NOT_FOUND)
}

/// A reply that a push may change a moment later, so that proxies must not keep it.
fn passing(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The reply while the search for the path goes on elsewhere. Nix would believe a 404 for an hour; after a 503 it retries.
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

/// `PUT HASH.narinfo`, which `nix copy` sends after the NAR.
pub async fn put(request: Request<Write, StorePathHash>) -> Answer {
    let Request { state, cache, grant, path: hash, head, body, .. } = request;
    let encoding = encoding::of_body(&head)?;
    let sent = body::read(body, BODY_LIMIT).await?;
    let text = encoding::unpack(sent.clone(), encoding, BODY_LIMIT, "the narinfo").await?;
    let mut description = describe(&hash, &text)?;
    description.pushed_by = Some(grant.id());
    let (file, path) = (description.file_hash, description.path.to_full_path());
    match state.ingest.commit_file(&cache, description).await {
        Err(missing @ PushError::NarMissing(_)) => {
            forward::to_holder(&state, &cache, (hash, file), head, &sent, missing).await
        }
        committed => {
            committed?;
            Ok(done(path))
        }
    }
}

fn describe(hash: &StorePathHash, text: &[u8]) -> Result<PathDescription, HttpError> {
    let text = std::str::from_utf8(text).map_err(|_| HttpError::bad_request("a narinfo is UTF-8 text"))?;
    let narinfo = NarInfo::parse(text)
        .map_err(|error| HttpError::bad_request(format!("malformed narinfo: {}", chain(&error))))?;
    if narinfo.store_path.hash() != hash {
        return Err(HttpError::bad_request("the narinfo is for another store path than its name says"));
    }
    if !narinfo.compression.is_pushed() {
        let reason = format!(
            "NARs compressed with {} cannot be pushed; use zstd, xz, bzip2, gzip, br or none",
            narinfo.compression
        );
        return Err(HttpError::bad_request(reason));
    }
    let file =
        narinfo.url.strip_prefix("nar/").and_then(|file| NarFileName::parse(file).ok()).ok_or_else(|| {
            HttpError::bad_request(
                "the narinfo's URL must be `nar/` and the name of a NAR file in this cache",
            )
        })?;
    // Nix has no file name extension for some compressions; only the narinfo names those.
    if file.compression != Compression::None && file.compression != narinfo.compression {
        return Err(HttpError::bad_request(
            "the narinfo's Compression does not fit the name of its NAR file",
        ));
    }
    Ok(PathDescription::from_narinfo(narinfo, file.file_hash)?)
}
