//! Request bodies. Each has a size limit and a deadline, and takes its memory from a budget that all requests share.

use std::ops::Deref;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::HttpError;
use crate::limits::budget::{Exhausted, Sender, Share};

/// How long a small body may stall.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a small body may take in addition to the time that its size allows.
const GRACE: Duration = Duration::from_secs(30);
/// The lowest rate in bytes per second at which a small body may arrive.
const LOWEST_RATE: u64 = 32 << 10;
/// Largest JSON body that is not a bulk query.
pub const JSON_LIMIT: usize = 4 << 20;
/// Bytes of memory for each byte of a body in memory: the buffer is copied when it grows, and the parsed value takes room as
/// well.
const WEIGHT: usize = 3;

/// The body of a request, in pieces as they arrive. An error says what happened to the connection.
pub type Body = BoxStream<'static, Result<Bytes, String>>;

/// Turns the body that warp hands out into one of ours.
pub fn pieces<S, B>(body: S) -> Body
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    let pieces = body.map(|piece| match piece {
        Ok(mut piece) => Ok(piece.copy_to_bytes(piece.remaining())),
        Err(_) => Err("the connection broke".to_owned()),
    });
    pieces.boxed()
}

/// Watches how fast a small body arrives.
pub struct Arrival {
    begun: Instant,
    received: u64,
    limit: u64,
}

impl Arrival {
    /// Starts the clock for a body of at most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { begun: Instant::now(), received: 0, limit }
    }

    /// Waits for the next piece. `None` at the end of the body.
    pub async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, HttpError> {
        let earned = GRACE + Duration::from_secs(self.received / LOWEST_RATE);
        let deadline = (self.begun + earned).min(Instant::now() + STALL_LIMIT);
        let piece = tokio::time::timeout_at(deadline, body.next())
            .await
            .map_err(|_| HttpError::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))?;
        let piece = piece.transpose().map_err(HttpError::bad_request)?;
        self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.received > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(piece)
    }

    /// Does not count this time, in which the server was busy and the client could not send.
    pub fn excuse(&mut self, time: Duration) {
        self.begun += time;
    }
}

/// Returns a 413 for a body of more than `limit` bytes.
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

/// Reads a body of at most `limit` bytes. The client has proved before that it may send one.
pub async fn read(body: Body, limit: usize) -> Result<Collected, HttpError> {
    read_of(Sender::Known, body, limit).await
}

/// Reads a body of at most `limit` bytes of a client that has not proved anything.
pub async fn read_of_stranger(body: Body, limit: usize) -> Result<Collected, HttpError> {
    read_of(Sender::Anonymous, body, limit).await
}

async fn read_of(sender: Sender, mut body: Body, limit: usize) -> Result<Collected, HttpError> {
    let mut arrival = Arrival::new(limit as u64);
    let share = Share::of_body(sender, limit);
    let mut whole = BytesMut::new();
    while let Some(piece) = share.wait_for_client(arrival.next(&mut body)).await?? {
        share.grow(piece.len() * WEIGHT).await?;
        whole.extend_from_slice(&piece);
    }
    Ok(Collected { bytes: whole.freeze(), share })
}

/// Reads a JSON body. Its content type does not matter: clients disagree on how to spell it.
pub async fn json<T: DeserializeOwned>(body: Body) -> Result<T, HttpError> {
    Ok(json_with_share(body).await?.0)
}

/// Reads a JSON body and returns its share of the budget as well, for values that are large and kept for long.
pub async fn json_with_share<T: DeserializeOwned>(body: Body) -> Result<(T, Share), HttpError> {
    let Collected { bytes, share } = read(body, JSON_LIMIT).await?;
    Ok((parse(&bytes)?, share))
}

/// Parses the JSON of a body that was read.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(body)
        .map_err(|error| HttpError::bad_request(format!("malformed JSON body: {error}")))
}

/// Reads a body to its end and discards it.
pub async fn discard(mut body: Body, limit: u64) -> Result<(), HttpError> {
    let mut arrival = Arrival::new(limit);
    while arrival.next(&mut body).await?.is_some() {}
    Ok(())
}

impl From<Exhausted> for HttpError {
    fn from(error: Exhausted) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}
