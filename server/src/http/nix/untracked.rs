//! Files that the catalog does not track: they are there or not, and are replaced as a whole.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use nar_storage::Key;

use super::nar::blob_response;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::{Answer, access, status};

/// Sends the file under `key`, if there is one.
pub async fn send(
    state: &State,
    cache: &Arc<Cache>,
    authorization: Option<&str>,
    key: Option<Key>,
    content_type: &'static str,
) -> Answer {
    access::read(state, cache, authorization)?;
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

/// Stores a small file.
pub async fn store(cache: &Cache, key: &Key, contents: Bytes) -> Answer {
    cache.storages().store_small(key, contents).await?;
    Ok(status(StatusCode::OK))
}
