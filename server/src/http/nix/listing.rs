//! `HASH.ls`: lists the files of a path. Made from the NAR when it is pushed.

use http::StatusCode;
use nar_storage::layout;
use nix_formats::StorePathHash;

use super::untracked;
use crate::cache::index::Presence;
use crate::http::router::{Read, Request, Write};
use crate::http::{Answer, body, status};

/// Largest listing that a client may send.
const BODY_LIMIT: u64 = 256 << 20;

/// `GET HASH.ls`.
pub async fn get(request: Request<Read, StorePathHash>) -> Answer {
    let Request { state, cache, path: hash, .. } = request;
    let is_held = match cache.index.look(&hash) {
        Presence::Held => true,
        Presence::Absent => false,
        Presence::Unsure => cache.find_path(&state.catalog, &hash).await?.is_some(),
    };
    let key = is_held.then(|| layout::listing_key(&hash));
    untracked::send(&cache, key, "application/json").await
}

/// `PUT HASH.ls`. Nix sends its own listing (`write-nar-listing`). It is not needed: ours comes from the verified NAR.
pub async fn put(request: Request<Write, StorePathHash>) -> Answer {
    body::discard(request.body, BODY_LIMIT).await?;
    Ok(status(StatusCode::OK))
}
