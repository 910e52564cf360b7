//! Files that the catalog does not track. They are written once; only an administrator of the cache replaces one.

use std::path::Path;

use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use nar_storage::{Blob, BlobBody, Key};
use tokio::io::AsyncReadExt;

use super::nar::blob_response;
use crate::auth::TokenRef;
use crate::cache::Cache;
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::state::State;

/// Sends the file under `key`. 404 if there is none, or no key.
pub async fn send(cache: &Cache, key: Option<Key>, content_type: &'static str) -> Answer {
    let blob = match key {
        Some(key) => cache.storages().open_small(&key).await,
        None => None,
    };
    let blob = blob.ok_or_else(HttpError::not_found)?;
    let length = blob.len();
    let mut response = blob_response(blob);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Refuses to replace a file for a client that does not administer the cache.
///
/// # Errors
///
/// 409 if so.
pub fn permit_replacing(state: &State, cache: &Cache, grant: TokenRef) -> Result<(), HttpError> {
    if state.tokens.administers(grant, cache.name()) {
        return Ok(());
    }
    let reason = "there is another file of this name already, which only a token with `admin` may replace";
    Err(HttpError::new(StatusCode::CONFLICT, reason))
}

/// Whether a stored file has the contents of the file at `path`. `false` if one of them cannot be read.
pub async fn is_same_file(there: Blob, path: &Path) -> bool {
    let Ok(mut file) = tokio::fs::File::open(path).await else { return false };
    if !file.metadata().await.is_ok_and(|metadata| metadata.len() == there.len()) {
        return false;
    }
    let mut pieces = match there.into_body() {
        BlobBody::Bytes(bytes) => futures_util::stream::iter([Ok(bytes)]).boxed(),
        BlobBody::Stream(pieces) => pieces.boxed(),
    };
    let mut buffer = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        buffer.resize(piece.len(), 0);
        if file.read_exact(&mut buffer).await.is_err() || buffer != piece {
            return false;
        }
    }
    // The lengths are equal, so all was compared unless reading failed.
    file.read(&mut [0]).await.is_ok_and(|read| read == 0)
}
