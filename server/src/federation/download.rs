//! A file as it arrives from one cache.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use nix_formats::Compression;
use tokio::time::timeout;

use super::unpacked::{Unpacked, encoding_of};
use super::upstreams::Remote;

/// How long the other side may send nothing.
const STALL: Duration = Duration::from_secs(15);
/// A cache that, over more than this time of waiting for it, sends less than [`SLOWEST`] bytes a second, does not want to.
const GRACE: Duration = Duration::from_secs(20);
const SLOWEST: u64 = 4 << 10;

/// A file from some point on, without its `Content-Encoding` if it has one.
pub struct Download {
    bytes: Bytewise,
    /// Bytes that it says it has, if it does.
    pub length: Option<u64>,
}

enum Bytewise {
    Plain(Wire),
    Unpacked(Unpacked),
}

/// The body of an answer as it arrives.
pub struct Wire {
    body: BodyDataStream<Incoming>,
    received: u64,
    /// Time spent waiting for the other side, as opposed to our reader.
    waited: Duration,
    /// The upstream that it comes from, if it is one.
    remote: Option<Arc<Remote>>,
}

/// Why nothing more comes from a cache.
pub enum DownloadError {
    /// The connection ended.
    Lost(String),
    /// It takes too long.
    Stalled(&'static str),
}

impl fmt::Display for DownloadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) => formatter.write_str(reason),
            Self::Stalled(reason) => formatter.write_str(reason),
        }
    }
}

/// Returns the length that an answer announces.
pub fn length_of(answer: &Response<Incoming>) -> Option<u64> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Download {
    /// Takes the body of an answer, of which there may be `most` bytes if it is encoded. `None` if it is encoded in an unknown way, or there is no thread to unpack it.
    pub fn start(answer: Response<Incoming>, remote: Option<Arc<Remote>>, most: u64) -> Option<Self> {
        let (encoding, length) = (encoding_of(answer.headers())?, length_of(&answer));
        let body = BodyDataStream::new(answer.into_body());
        let wire = Wire { body, received: 0, waited: Duration::ZERO, remote };
        if encoding == Compression::None {
            return Some(Self { bytes: Bytewise::Plain(wire), length });
        }
        let unpacked = Unpacked::start(wire, encoding, most).ok()?;
        Some(Self { bytes: Bytewise::Unpacked(unpacked), length: None })
    }

    /// The next piece that is not empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        match &mut self.bytes {
            Bytewise::Plain(wire) => wire.next().await,
            Bytewise::Unpacked(unpacked) => unpacked.next().await,
        }
    }
}

impl Wire {
    /// Returns how many bytes have arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next piece that is not empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            let begun = Instant::now();
            let arrived = timeout(STALL, self.body.next()).await;
            self.waited += begun.elapsed();
            let rate = self.received.checked_div(self.waited.as_secs()).unwrap_or(u64::MAX);
            return match arrived {
                Err(_) => Err(DownloadError::Stalled("nothing arrives any more")),
                Ok(None) => Ok(None),
                Ok(Some(Err(error))) => Err(DownloadError::Lost(error.to_string())),
                Ok(Some(Ok(piece))) if piece.is_empty() => continue,
                Ok(Some(Ok(_))) if self.waited > GRACE && rate < SLOWEST => {
                    Err(DownloadError::Stalled("it arrives too slowly"))
                }
                Ok(Some(Ok(piece))) => {
                    self.received += piece.len() as u64;
                    if let Some(remote) = &self.remote {
                        remote.record.nar_bytes.add(piece.len() as u64);
                    }
                    Ok(Some(piece))
                }
            };
        }
    }
}
