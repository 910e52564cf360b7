//! Realisations of content-addressed derivations: `realisations/ID.doi` (Nix up to at least 2.28) and
//! `build-trace-v2/DRV/OUTPUT.doi` (newer).

use nar_storage::{Key, layout};

use super::untracked;
use crate::auth::TokenRef;
use crate::cache::Cache;
use crate::http::Answer;
use crate::http::body::{self, Body};
use crate::http::error::HttpError;
use crate::http::router::{FileName, Read, Request, Write};
use crate::http::state::State;

/// Largest realisation that a client may send.
const BODY_LIMIT: usize = 1 << 20;

/// `GET realisations/ID.doi`.
pub async fn get(request: Request<Read, FileName>) -> Answer {
    untracked::send(&request.cache, key(&request.path), "application/json").await
}

/// `PUT realisations/ID.doi`.
pub async fn put(request: Request<Write, FileName>) -> Answer {
    let Request { state, cache, grant, path, body, .. } = request;
    store(&state, &cache, grant, key(&path), body).await
}

/// `GET build-trace-v2/DRV/OUTPUT.doi`.
pub async fn get_trace(request: Request<Read, (FileName, FileName)>) -> Answer {
    untracked::send(&request.cache, trace_key(&request.path), "application/json").await
}

/// `PUT build-trace-v2/DRV/OUTPUT.doi`.
pub async fn put_trace(request: Request<Write, (FileName, FileName)>) -> Answer {
    let Request { state, cache, grant, path, body, .. } = request;
    store(&state, &cache, grant, trace_key(&path), body).await
}

/// The key of a file in the storage. `None` if no realisation can have this name.
fn key(file: &FileName) -> Option<Key> {
    layout::realisation_key(file.0.strip_suffix(".doi")?).ok()
}

/// The same for the newer names.
fn trace_key((derivation, file): &(FileName, FileName)) -> Option<Key> {
    layout::build_trace_key(&derivation.0, file.0.strip_suffix(".doi")?).ok()
}

async fn store(state: &State, cache: &Cache, grant: TokenRef, key: Option<Key>, body: Body) -> Answer {
    let key = key.ok_or_else(|| HttpError::bad_request("this cannot be the name of a realisation"))?;
    let contents = body::read(body, BODY_LIMIT).await?;
    if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&contents).is_err() {
        return Err(HttpError::bad_request("a realisation is a JSON object"));
    }
    untracked::store(state, cache, grant, &key, contents.clone()).await
}
