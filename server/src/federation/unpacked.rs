//! What a server sends with a `Content-Encoding`, as it is without it: texts at once, files while they arrive.
//!
//! Nix takes such files: its HTTP client unpacks them. Many servers encode what is not compressed, and buckets send what they store as it
//! was written.

use std::io::Read;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use nix_formats::Compression;
use tokio::sync::{mpsc, oneshot};

use super::arriving::Arriving;
use super::client::{ClientError, read_body};
use super::download::{DownloadError, Wire};
use crate::decode::decoder_of;
use crate::limits::decoder_memory::{DecoderKind, DecodersBusy};
use crate::limits::own_thread;

/// Pieces that wait for the thread that unpacks them, and for whoever reads them.
const PIECES_AHEAD: usize = 4;
/// Bytes that are unpacked at once.
const BUFFER: usize = 64 << 10;

/// Returns how the body of an answer is encoded; `None` if that is in an unknown way.
pub fn encoding_of(headers: &HeaderMap) -> Option<Compression> {
    let name = headers.get(CONTENT_ENCODING).map_or(Some(""), |name| name.to_str().ok())?;
    match name.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Some(Compression::None),
        "x-gzip" => Some(Compression::Gzip),
        name => Compression::from_narinfo_name(name).ok(),
    }
}

/// Reads the whole body of an answer, without its `Content-Encoding`. Neither what arrives nor what it unpacks to may have more than
/// `limit` bytes.
///
/// # Errors
///
/// [`ClientError::Encoding`] if it cannot be unpacked, [`ClientError::Busy`] if others use the memory for that, and what
/// reading a body says.
pub async fn read_unpacked(answer: Response<Incoming>, limit: usize) -> Result<Bytes, ClientError> {
    let encoding = encoding_of(answer.headers());
    let encoding = encoding.ok_or_else(|| ClientError::Encoding("in an unknown way".to_owned()))?;
    let body = read_body(answer, limit).await?;
    if encoding == Compression::None {
        return Ok(body);
    }
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut unpacked = Vec::new();
        let decoder = decoder_of(DecoderKind::Relayed, &body[..], encoding)?;
        decoder.take(limit as u64 + 1).read_to_end(&mut unpacked)?;
        Ok::<_, std::io::Error>(unpacked)
    });
    let unpacked = unpacking.await.map_err(|_| ClientError::Encoding("in a strange way".to_owned()))?;
    let unpacked = unpacked.map_err(|error| match DecodersBusy::is_cause_of(&error) {
        true => ClientError::Busy(error.to_string()),
        false => ClientError::Encoding(format!("in a way that cannot be undone: {error}")),
    })?;
    if unpacked.len() > limit { Err(ClientError::TooLong(limit)) } else { Ok(unpacked.into()) }
}

/// A file that is unpacked while it arrives.
pub struct Unpacked {
    pieces: mpsc::Receiver<Result<Bytes, String>>,
    /// Why nothing more arrived, if it did not end.
    broken: oneshot::Receiver<DownloadError>,
}

impl Unpacked {
    /// Unpacks what arrives, of which there may be `most` bytes. Fails if the process may not have another thread.
    pub fn start(mut wire: Wire, encoding: Compression, most: u64) -> std::io::Result<Self> {
        let (arrived, arriving) = mpsc::channel(PIECES_AHEAD);
        let (unpacked, pieces) = mpsc::channel(PIECES_AHEAD);
        let (tell_broken, broken) = oneshot::channel();
        own_thread::spawn("unpack", move || unpack(arriving, encoding, &unpacked))?;
        tokio::spawn(async move {
            loop {
                match wire.next().await {
                    // Else one could go on for ever without anything in it.
                    Ok(Some(_)) if wire.received() > most => {
                        let reason = "it is longer than anything that unpacks to the file".to_owned();
                        let _ = tell_broken.send(DownloadError::Lost(reason));
                        return;
                    }
                    Ok(Some(piece)) => {
                        // The thread ends early with what is not packed so.
                        if arrived.send(piece).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(error) => {
                        // Before the thread sees the end.
                        let _ = tell_broken.send(error);
                        return;
                    }
                }
            }
        });
        Ok(Self { pieces, broken })
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let piece = self.pieces.recv().await;
        if !matches!(piece, Some(Ok(_)))
            && let Ok(error) = self.broken.try_recv()
        {
            return Err(error);
        }
        match piece {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(reason)) => Err(DownloadError::Lost(reason)),
            None => Ok(None),
        }
    }
}

/// Blocks.
fn unpack(
    arriving: mpsc::Receiver<Bytes>,
    encoding: Compression,
    unpacked: &mpsc::Sender<Result<Bytes, String>>,
) {
    let failed = |error: std::io::Error| Err(format!("its Content-Encoding cannot be unpacked: {error}"));
    let mut decoder = match decoder_of(DecoderKind::Relayed, Arriving::new(arriving), encoding) {
        Ok(decoder) => decoder,
        Err(error) => return drop(unpacked.blocking_send(failed(error))),
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        let piece = match decoder.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => failed(error),
        };
        let is_last = piece.is_err();
        if unpacked.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}
