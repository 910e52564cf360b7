//! Realisations of content-addressed derivations: `realisations/ID.doi` (Nix before 2.35) and
//! `build-trace-v2/DRV/OUTPUT.doi` (newer).
//!
//! The cache signs them as it signs paths, so that a reader that trusts its key needs no other. Files from before a key was added
//! get its signature when they are read.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use nar_storage::{Blob, Key, layout};
use nix_formats::{Realisation, RealisationKey};

use super::untracked;
use crate::auth::TokenRef;
use crate::cache::Cache;
use crate::http::body::{self, Body};
use crate::http::error::HttpError;
use crate::http::router::{FileName, Read, Request, Write};
use crate::http::state::State;
use crate::http::{Answer, Response, status};

/// Largest realisation that a client may send.
const BODY_LIMIT: usize = 1 << 20;

/// `GET realisations/ID.doi`.
pub async fn get(request: Request<Read, FileName>) -> Answer {
    send(&request.cache, hashed(&request.path)).await
}

/// `PUT realisations/ID.doi`.
pub async fn put(request: Request<Write, FileName>) -> Answer {
    let Request { state, cache, grant, path, body, .. } = request;
    store(&state, &cache, grant, hashed(&path), body).await
}

/// `GET build-trace-v2/DRV/OUTPUT.doi`.
pub async fn get_trace(request: Request<Read, (FileName, FileName)>) -> Answer {
    send(&request.cache, traced(&request.path)).await
}

/// `PUT build-trace-v2/DRV/OUTPUT.doi`.
pub async fn put_trace(request: Request<Write, (FileName, FileName)>) -> Answer {
    let Request { state, cache, grant, path, body, .. } = request;
    store(&state, &cache, grant, traced(&path), body).await
}

/// A realisation by its file name, and the key of that file in the storage.
type Named = (RealisationKey, Key);

/// `None` if no realisation can have this name.
fn hashed(file: &FileName) -> Option<Named> {
    let id = file.0.strip_suffix(".doi")?;
    Some((RealisationKey::Hashed(id.to_owned()), layout::realisation_key(id).ok()?))
}

/// The same for the newer names.
fn traced((derivation, file): &(FileName, FileName)) -> Option<Named> {
    let output = file.0.strip_suffix(".doi")?;
    let key = layout::build_trace_key(&derivation.0, output).ok()?;
    let named = RealisationKey::Traced { derivation: derivation.0.to_string(), output: output.to_owned() };
    Some((named, key))
}

async fn send(cache: &Cache, named: Option<Named>) -> Answer {
    let (named, key) = named.ok_or_else(HttpError::not_found)?;
    let contents = read(cache, &key).await.ok_or_else(HttpError::not_found)?;
    let body = match Realisation::parse(named, &contents) {
        Ok(mut realisation) => match sign(cache, &mut realisation) {
            true => Bytes::from(realisation.to_json()),
            false => contents,
        },
        // It came before realisations were looked at.
        Err(_) => contents,
    };
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn store(state: &State, cache: &Cache, grant: TokenRef, named: Option<Named>, body: Body) -> Answer {
    let (named, key) =
        named.ok_or_else(|| HttpError::bad_request("this cannot be the name of a realisation"))?;
    let contents = body::read(body, BODY_LIMIT).await?;
    let mut realisation = Realisation::parse(named.clone(), &contents)
        .map_err(|error| HttpError::bad_request(error.to_string()))?;
    if let Some(there) = read(cache, &key).await {
        match Realisation::parse(named, &there) {
            Ok(mut there) if there.agrees_with(&realisation) => {
                let is_new = there.add_signatures(realisation.signatures().to_vec());
                if !sign(cache, &mut there) && !is_new {
                    return Ok(status(StatusCode::OK));
                }
                realisation = there;
            }
            _ => untracked::permit_replacing(state, cache, grant)?,
        }
    }
    sign(cache, &mut realisation);
    // Before the file, so that none is without a row: the path's removal takes both.
    state.catalog.record_realisation(cache.id, key.as_str(), realisation.path().hash()).await?;
    cache.storages().store_small(&key, realisation.to_json().into()).await?;
    Ok(status(StatusCode::OK))
}

/// The contents of a stored file. `None` if there is none, or if it is larger than a client may send.
async fn read(cache: &Cache, key: &Key) -> Option<Bytes> {
    let blob: Blob = cache.storages().open_small(key).await?;
    if blob.len() > BODY_LIMIT as u64 {
        return None;
    }
    blob.into_bytes().await.ok()
}

/// Adds the signatures of the cache. Returns whether one was missing.
fn sign(cache: &Cache, realisation: &mut Realisation) -> bool {
    let signatures = cache.keys().server_signatures(&realisation.fingerprints());
    realisation.add_signatures(signatures)
}
