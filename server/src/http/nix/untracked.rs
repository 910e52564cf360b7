//! Files that the catalog does not track. They are replaced as a whole.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use nar_storage::Key;

use super::nar::blob_response;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::{Answer, status};

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

/// Stores a small file.
pub async fn store(cache: &Cache, key: &Key, contents: Bytes) -> Answer {
    cache.storages().store_small(key, contents).await?;
    Ok(status(StatusCode::OK))
}
