//! Request bodies: always with a bound, never waiting for ever.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::error::HttpError;

/// How long a small body may stand still.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Largest JSON body that is not a bulk query.
pub const JSON_LIMIT: usize = 4 << 20;

/// The pieces of a body, as the domain takes them.
pub fn pieces<S, B>(body: S) -> impl Stream<Item = Result<Bytes, String>>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    body.map(|piece| match piece {
        Ok(mut piece) => Ok(piece.copy_to_bytes(piece.remaining())),
        Err(_) => Err("the connection broke".to_owned()),
    })
}

/// The whole body, if it has at most `limit` bytes.
pub async fn read<S, B>(body: S, limit: usize) -> Result<Bytes, HttpError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut pieces = std::pin::pin!(pieces(body));
    let mut whole = BytesMut::new();
    loop {
        let piece = tokio::time::timeout(STALL_LIMIT, pieces.next())
            .await
            .map_err(|_| HttpError::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))?;
        match piece {
            None => return Ok(whole.freeze()),
            Some(Ok(bytes)) if whole.len() + bytes.len() <= limit => whole.extend_from_slice(&bytes),
            Some(Ok(_)) => {
                return Err(HttpError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body is larger than {limit} bytes"),
                ));
            }
            Some(Err(reason)) => return Err(HttpError::bad_request(reason)),
        }
    }
}

/// A JSON body. Its content type is not looked at: clients disagree on how to spell it.
pub async fn json<T, S, B>(body: S) -> Result<T, HttpError>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    parse(&read(body, JSON_LIMIT).await?)
}

/// The JSON in a body that was read.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(body)
        .map_err(|error| HttpError::bad_request(format!("malformed JSON body: {error}")))
}

/// Reads a body to its end and forgets it.
pub async fn discard<S, B>(body: S, limit: u64) -> Result<(), HttpError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut pieces = std::pin::pin!(pieces(body));
    let mut total = 0;
    while let Ok(Some(piece)) = tokio::time::timeout(STALL_LIMIT, pieces.next()).await {
        total += piece.map_err(HttpError::bad_request)?.len() as u64;
        if total > limit {
            return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
        }
    }
    Ok(())
}
