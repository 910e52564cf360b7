//! Takes the body of a request to disk: off the async threads, hashed on the way, with bounded memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::spool::PartWriter;
use crate::cache::{PushError, blocking};
use crate::limits::pace::Pace;

/// Bytes that are collected before one trip to a blocking thread.
const BATCH: usize = 512 << 10;
/// How long a batch waits for more bytes. A slow client must not hold one in memory for long.
const LINGER: Duration = Duration::from_millis(50);
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

/// What the bytes of a body are written with.
pub trait BodyWriter: Send + 'static {
    /// Whether writing waits for a disk.
    const BLOCKS: bool = true;

    /// Appends `bytes`. Blocks if [`BodyWriter::BLOCKS`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl BodyWriter for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        PartWriter::write(self, bytes)
    }
}

impl BodyWriter for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

/// The hash of a body that needs none.
struct NoHash;

impl BodyHash for NoHash {
    fn update(&mut self, _: &[u8]) {}
}

/// Writes `body` to the new file `path` and returns its length. It has at most `limit` bytes.
pub async fn receive_to_file<S>(body: S, path: PathBuf, limit: u64) -> Result<u64, PushError>
where
    S: Stream<Item = Result<Bytes, String>>,
{
    let file = blocking(move || File::create_new(path)).await??;
    let (file, _) = receive(body, file, NoHash, limit).await?;
    Ok(blocking(move || file.metadata()).await??.len())
}

/// Writes `body` through `writer`, hashing it with `hash`, and returns both once every byte is written. A body longer
/// than `limit` bytes is refused as soon as that shows. While one batch is written the next one is collected.
pub async fn receive<S, W, H>(body: S, writer: W, hash: H, limit: u64) -> Result<(W, H), PushError>
where
    S: Stream<Item = Result<Bytes, String>>,
    W: BodyWriter,
    H: BodyHash,
{
    let mut body = std::pin::pin!(body);
    let mut sink = Sink::Idle(writer, hash);
    let mut batch = Vec::new();
    let mut batched = 0;
    let mut total: u64 = 0;
    let mut pace = Pace::default();
    loop {
        let begun = Instant::now();
        let chunk = if batch.is_empty() {
            next_chunk(&mut body).await
        } else {
            match tokio::time::timeout(LINGER, body.next()).await {
                Ok(chunk) => chunk.transpose().map_err(PushError::Body),
                Err(_) => {
                    check_pace(&mut pace, 0, begun)?;
                    sink = sink.write(std::mem::take(&mut batch)).await?;
                    batched = 0;
                    continue;
                }
            }
        };
        let Some(chunk) = chunk? else { break };
        check_pace(&mut pace, chunk.len(), begun)?;
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

/// Fails where the client is so slow that it only holds what others could use. It has been waited for since `begun`.
fn check_pace(pace: &mut Pace, bytes: usize, begun: Instant) -> Result<(), PushError> {
    match pace.is_kept(bytes, begun.elapsed()) {
        true => Ok(()),
        false => Err(PushError::Body("it came too slowly".to_owned())),
    }
}

async fn next_chunk<S>(body: &mut S) -> Result<Option<Bytes>, PushError>
where
    S: Stream<Item = Result<Bytes, String>> + Unpin,
{
    match tokio::time::timeout(STALL_LIMIT, body.next()).await {
        Ok(chunk) => chunk.transpose().map_err(PushError::Body),
        Err(_) => Err(PushError::Body(format!("nothing came for {} seconds", STALL_LIMIT.as_secs()))),
    }
}

/// The writing end; busy while a batch is on a blocking thread.
enum Sink<W, H> {
    Idle(W, H),
    Busy(JoinHandle<io::Result<(W, H)>>),
}

impl<W: BodyWriter, H: BodyHash> Sink<W, H> {
    async fn write(self, batch: Vec<Bytes>) -> Result<Self, PushError> {
        let (mut writer, mut hash) = self.into_parts().await?;
        let is_quick = !W::BLOCKS || batch.is_empty();
        let write = move || {
            for bytes in &batch {
                writer.write(bytes)?;
                hash.update(bytes);
            }
            Ok::<_, io::Error>((writer, hash))
        };
        if is_quick {
            return write().map(|(writer, hash)| Self::Idle(writer, hash)).map_err(PushError::from);
        }
        Ok(Self::Busy(tokio::task::spawn_blocking(write)))
    }

    async fn into_parts(self) -> Result<(W, H), PushError> {
        match self {
            Self::Idle(writer, hash) => Ok((writer, hash)),
            Self::Busy(task) => Ok(task.await.map_err(|_| PushError::Internal)??),
        }
    }
}
