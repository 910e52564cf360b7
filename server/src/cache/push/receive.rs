//! Takes the body of a request to disk: off the async threads, hashed on the way, with bounded memory.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::task::JoinHandle;

use super::error::PushError;
use super::spool::PartWriter;

/// Bytes that are collected before one trip to a blocking thread.
const BATCH: usize = 512 << 10;
/// How long a body may stand still.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// A hash over a body.
pub trait BodyHash: Send + 'static {
    /// Takes in more bytes.
    fn update(&mut self, bytes: &[u8]);
}

impl<H: sha2::Digest + Send + 'static> BodyHash for H {
    fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(self, bytes);
    }
}

/// Writes `body` through `writer`, hashing it with `hash`, and returns both once every byte is written. A body longer
/// than `limit` bytes is refused as soon as that shows. While one batch is written the next one is collected.
pub async fn receive<S, H>(
    body: S,
    writer: PartWriter,
    hash: H,
    limit: u64,
) -> Result<(PartWriter, H), PushError>
where
    S: Stream<Item = Result<Bytes, String>>,
    H: BodyHash,
{
    let mut body = std::pin::pin!(body);
    let mut sink = Sink::Idle(writer, hash);
    let mut batch = Vec::new();
    let mut batched = 0;
    let mut total: u64 = 0;
    while let Some(chunk) = next_chunk(&mut body).await? {
        total += chunk.len() as u64;
        if total > limit {
            return Err(PushError::TooLarge(format!("the body is larger than {limit} bytes")));
        }
        batched += chunk.len();
        batch.push(chunk);
        if batched >= BATCH {
            sink = sink.write(std::mem::take(&mut batch)).await?;
            batched = 0;
        }
    }
    sink.write(batch).await?.into_parts().await
}

async fn next_chunk<S>(body: &mut S) -> Result<Option<Bytes>, PushError>
where
    S: Stream<Item = Result<Bytes, String>> + Unpin,
{
    match tokio::time::timeout(STALL_LIMIT, body.next()).await {
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(reason))) => Err(PushError::Body(reason)),
        Ok(None) => Ok(None),
        Err(_) => Err(PushError::Body(format!("nothing came for {} seconds", STALL_LIMIT.as_secs()))),
    }
}

/// The writing end; busy while a batch is on a blocking thread.
enum Sink<H> {
    Idle(PartWriter, H),
    Busy(JoinHandle<io::Result<(PartWriter, H)>>),
}

impl<H: BodyHash> Sink<H> {
    async fn write(self, batch: Vec<Bytes>) -> Result<Self, PushError> {
        let (mut writer, mut hash) = self.into_parts().await?;
        if batch.is_empty() {
            return Ok(Self::Idle(writer, hash));
        }
        Ok(Self::Busy(tokio::task::spawn_blocking(move || {
            for bytes in &batch {
                writer.write(bytes)?;
                hash.update(bytes);
            }
            Ok((writer, hash))
        })))
    }

    async fn into_parts(self) -> Result<(PartWriter, H), PushError> {
        match self {
            Self::Idle(writer, hash) => Ok((writer, hash)),
            Self::Busy(task) => Ok(task.await.map_err(|_| PushError::Internal)??),
        }
    }
}
