//! Bodies of admin requests.

use admin_api::{ApiError, ErrorCode};
use bytes::Buf;
use futures_util::Stream;
use serde::de::DeserializeOwned;

use super::error::failure;
use crate::http::body;

/// Largest request.
const LIMIT: usize = 1 << 20;

/// A request in JSON.
pub async fn json<T, S, B>(stream: S) -> Result<T, ApiError>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    let invalid = |message: String| failure(ErrorCode::Invalid, message, None);
    let body = body::read(body::pieces(stream), LIMIT)
        .await
        .map_err(|_| invalid("unreadable request".to_owned()))?;
    serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))
}

/// What stands behind the question mark of a URL.
pub fn query<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_urlencoded::from_str(text)
        .map_err(|error| failure(ErrorCode::Invalid, format!("unreadable query: {error}"), None))
}
