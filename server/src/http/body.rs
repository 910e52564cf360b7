//! Request bodies: always with a bound, never waiting for ever, and with memory from a budget of all requests.

use std::ops::Deref;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::HttpError;
use crate::limits::budget::{Exhausted, Sender, Share};

/// How long a small body may stand still.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a small body may take, beside the time that it may take for its size.
const GRACE: Duration = Duration::from_secs(30);
/// The lowest rate in bytes per second at which a small body may arrive.
const LOWEST_RATE: u64 = 32 << 10;
/// Largest JSON body that is not a bulk query.
pub const JSON_LIMIT: usize = 4 << 20;
/// Bytes of memory for each byte of a body that is collected: it is copied when it grows, and what is read from it takes
/// room besides.
const WEIGHT: usize = 3;

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

/// Watches how fast a small body arrives.
pub struct Arrival {
    begun: Instant,
    received: u64,
    limit: u64,
}

impl Arrival {
    /// A body of at most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { begun: Instant::now(), received: 0, limit }
    }

    /// The next piece, or `None` at the end.
    pub async fn next<S>(&mut self, pieces: &mut S) -> Result<Option<Bytes>, HttpError>
    where
        S: Stream<Item = Result<Bytes, String>> + Unpin,
    {
        let earned = GRACE + Duration::from_secs(self.received / LOWEST_RATE);
        let deadline = (self.begun + earned).min(Instant::now() + STALL_LIMIT);
        let piece = tokio::time::timeout_at(deadline, pieces.next())
            .await
            .map_err(|_| HttpError::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))?;
        let piece = piece.transpose().map_err(HttpError::bad_request)?;
        self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.received > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(piece)
    }

    /// Excuses the time since the last piece, in which the client was not waited for.
    pub fn excuse(&mut self, time: Duration) {
        self.begun += time;
    }
}

/// 413 for a body of more than `limit` bytes.
pub fn too_large(limit: u64) -> HttpError {
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}

/// A body in memory, with its share of the budget.
pub struct Collected {
    bytes: Bytes,
    share: Share,
}

impl Deref for Collected {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// The whole body, if it has at most `limit` bytes. The client has proven before that it may send one.
pub async fn read<S, B>(body: S, limit: usize) -> Result<Collected, HttpError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut pieces = std::pin::pin!(pieces(body));
    let mut arrival = Arrival::new(limit as u64);
    let share = Share::of_body(Sender::Known, limit);
    let mut whole = BytesMut::new();
    while let Some(piece) = share.wait_for_client(arrival.next(&mut pieces)).await?? {
        share.grow(piece.len() * WEIGHT).await?;
        whole.extend_from_slice(&piece);
    }
    Ok(Collected { bytes: whole.freeze(), share })
}

/// A JSON body. Its content type is not looked at: clients disagree on how to spell it.
pub async fn json<T, S, B>(body: S) -> Result<T, HttpError>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    Ok(json_with_share(body).await?.0)
}

/// The same with its share of the budget, for values that are large and kept for long.
pub async fn json_with_share<T, S, B>(body: S) -> Result<(T, Share), HttpError>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let Collected { bytes, share } = read(body, JSON_LIMIT).await?;
    Ok((parse(&bytes)?, share))
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
    let mut arrival = Arrival::new(limit);
    while arrival.next(&mut pieces).await?.is_some() {}
    Ok(())
}

impl From<Exhausted> for HttpError {
    fn from(error: Exhausted) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}
