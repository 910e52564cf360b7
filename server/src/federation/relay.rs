//! Passes the bytes of a NAR on while they arrive, and checks them before the last ones.
//!
//! The file's hash is computed on the way; a thread beside it unpacks the file and hashes the NAR. The last piece is held
//! back until both are known to be right, so that a reader never gets the whole of something wrong. Of a file whose hash
//! nobody tells only the NAR is checked, which is what is signed.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use nix_formats::{Compression, FileHash, NarHash, StorePathHash};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::arriving::Arriving;
use super::download::{Download, DownloadError};
use super::keep::Copy;
use super::sources::Sources;
use super::ticket::Ticket;
use crate::decode::decoder_of;
use crate::limits::decoder_memory::{DecoderKind, DecodersBusy};
use crate::limits::own_thread::{self, Outcome};
use crate::limits::pace::Pace;

/// Pieces that wait for the thread that checks them.
const PIECES_AHEAD: usize = 8;
/// Pieces that wait for a slow reader.
const PIECES_READY: usize = 2;
/// How long a reader may take no piece. It holds a place that others wait for.
const READER_STALL: Duration = Duration::from_secs(60);
/// Bytes that are unpacked at once.
const BUFFER: usize = 64 << 10;

/// The bytes of a NAR.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>;

/// A NAR that is being passed on.
pub struct Relay {
    sources: Sources,
    download: Download,
    path: StorePathHash,
    file_hash: Option<FileHash>,
    /// Bytes of the file; where that is not known it goes on until the other side ends it.
    file_size: Option<u64>,
    /// Bytes beyond which it is not the file.
    most: u64,
    hasher: Sha256,
    received: u64,
    /// The last piece so far of a file of unknown size, which may be the last one at all.
    held_back: Option<Bytes>,
    is_over: bool,
    check: Option<Check>,
    /// Where the bytes go besides, as long as somebody wants them there.
    copy: Option<Copy>,
    _permit: OwnedSemaphorePermit,
}

/// The thread that hashes the NAR.
struct Check {
    pieces: mpsc::Sender<Bytes>,
    verdict: Outcome<Result<(), Fault>>,
}

impl Check {
    /// `None` if the file is the NAR itself, and its hash the one that is checked anyway. Fails if there is no thread.
    fn of(ticket: &Ticket) -> io::Result<Option<Self>> {
        let (compression, hash, size) = (ticket.file.compression, ticket.nar_hash, ticket.nar_size);
        let is_nar = compression == Compression::None
            && ticket.file_hash().is_some_and(|file| file.as_bytes() == hash.as_bytes());
        if is_nar && ticket.file_size == Some(size) {
            return Ok(None);
        }
        let (pieces, arriving) = mpsc::channel(PIECES_AHEAD);
        // It waits for the source and for the reader.
        let verdict = own_thread::spawn("relay", move || check(arriving, compression, hash, size))?;
        Ok(Some(Self { pieces, verdict }))
    }
}

/// What is wrong with what arrives.
enum Fault {
    /// It stopped.
    Broken(String),
    /// It is something else.
    Wrong(String),
}

impl Relay {
    /// The bytes of `download`, and of what the sources have instead where it breaks off, as far as they are what the ticket
    /// says. Fails if the process may not have another thread.
    pub fn start(
        sources: Sources,
        download: Download,
        ticket: &Ticket,
        permit: OwnedSemaphorePermit,
        copy: Option<Copy>,
    ) -> io::Result<Pieces> {
        let file_size = ticket.file_size.or(download.length);
        let relay = Self {
            sources,
            download,
            path: ticket.path,
            file_hash: ticket.file_hash(),
            file_size,
            most: file_size.unwrap_or_else(|| ticket.most_bytes()),
            hasher: Sha256::new(),
            received: 0,
            held_back: None,
            is_over: false,
            check: Check::of(ticket)?,
            copy,
            _permit: permit,
        };
        let (sender, receiver) = mpsc::channel(PIECES_READY);
        let given_up = Arc::new(AtomicBool::new(false));
        tokio::spawn(relay.run(sender, given_up.clone()));
        let pieces = stream::unfold(receiver, move |mut receiver| {
            let given_up = given_up.clone();
            async move {
                if let Some(piece) = receiver.recv().await {
                    return Some((piece, receiver));
                }
                // What ends here must not look like the end of the file.
                let is_cut = given_up.swap(false, Ordering::AcqRel);
                is_cut.then(|| (Err(io::Error::other("the reader is too slow")), receiver))
            }
        });
        Ok(Box::pin(pieces))
    }

    /// Passes pieces on until the end, or until nobody wants them any more.
    async fn run(mut self, reader: mpsc::Sender<io::Result<Bytes>>, given_up: Arc<AtomicBool>) {
        let mut pace = Pace::default();
        let mut reader = Some(reader);
        loop {
            let piece = match self.next().await {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => return,
                Err(fault) => {
                    let reason = match fault {
                        Fault::Broken(reason) => reason,
                        Fault::Wrong(reason) => {
                            self.sources.gave_wrong_bytes(&reason);
                            reason
                        }
                    };
                    tracing::warn!(path = %self.path, reason, "a NAR from another cache was cut off");
                    Err(io::Error::other(reason))
                }
            };
            let is_last = piece.is_err();
            if let Some(copy) = &self.copy {
                let piece = piece.as_ref().map(Bytes::clone).map_err(ToString::to_string);
                if copy.send(piece).await.is_err() {
                    self.copy = None;
                }
            }
            if let Some(waiting) = &reader {
                let (size, begun) = (piece.as_ref().map_or(0, Bytes::len), Instant::now());
                let sent = tokio::time::timeout(READER_STALL, waiting.send(piece)).await;
                let is_too_slow = sent.is_err() || !pace.is_kept(size, begun.elapsed());
                if is_too_slow || matches!(sent, Ok(Err(_))) {
                    given_up.store(true, Ordering::Release);
                    reader = None;
                }
            }
            if is_last || (reader.is_none() && self.copy.is_none()) {
                return;
            }
        }
    }

    /// The next piece for the reader; `None` when the file is over, and right.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            let Some(piece) = self.receive().await? else {
                self.end().await?;
                return Ok(self.held_back.take());
            };
            self.take(&piece).await?;
            match self.file_size {
                Some(size) => {
                    if self.received == size {
                        self.end().await?;
                    }
                    return Ok(Some(piece));
                }
                None => {
                    if let Some(earlier) = self.held_back.replace(piece) {
                        return Ok(Some(earlier));
                    }
                }
            }
        }
    }

    /// Takes a piece into account.
    async fn take(&mut self, piece: &Bytes) -> Result<(), Fault> {
        self.received += piece.len() as u64;
        if self.received > self.most {
            return Err(Fault::Wrong("it is longer than promised".to_owned()));
        }
        if self.file_hash.is_some() {
            self.hasher.update(piece);
        }
        if let Some(check) = &self.check {
            if check.pieces.send(piece.clone()).await.is_err() {
                // It knows enough already.
                self.judge().await?;
                return self.refuse_more();
            }
            return Ok(());
        }
        self.refuse_more()
    }

    /// What comes after the whole NAR can still be told from something else by the hash of the file, if that is known.
    fn refuse_more(&self) -> Result<(), Fault> {
        match self.file_hash {
            Some(_) => Ok(()),
            None => Err(Fault::Wrong("it goes on after its NAR".to_owned())),
        }
    }

    /// All has arrived: whether it is right.
    async fn end(&mut self) -> Result<(), Fault> {
        if let Some(hash) = self.file_hash
            && *hash.as_bytes() != <[u8; 32]>::from(self.hasher.finalize_reset())
        {
            return Err(Fault::Wrong("it has another hash than promised".to_owned()));
        }
        self.judge().await?;
        self.is_over = true;
        Ok(())
    }

    /// The next piece, from wherever there is one; `None` at the end of a file of unknown size.
    async fn receive(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let cause = match self.download.next().await {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) if self.file_size.is_none() => return Ok(None),
                Ok(None) => DownloadError::Lost("it ends too early".to_owned()),
                Err(cause) => cause,
            };
            match self.sources.resume(self.received, &cause).await {
                Some(download) => self.download = download,
                None => return Err(Fault::Broken(cause.to_string())),
            }
            tracing::info!(path = %self.path, at = self.received, %cause, "a NAR that broke off is fetched on");
        }
    }

    /// Waits until the NAR is known to be right.
    async fn judge(&mut self) -> Result<(), Fault> {
        let Some(Check { pieces, verdict }) = self.check.take() else { return Ok(()) };
        drop(pieces);
        match verdict.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(Fault::Broken("it could not be checked".to_owned())),
        }
    }
}

/// Unpacks what arrives and compares it with the NAR's hash and size. Blocks.
fn check(
    arriving: mpsc::Receiver<Bytes>,
    compression: Compression,
    nar_hash: NarHash,
    nar_size: u64,
) -> Result<(), Fault> {
    let failed = |error: io::Error| {
        let reason = format!("it cannot be unpacked: {error}");
        if DecodersBusy::is_cause_of(&error) { Fault::Broken(reason) } else { Fault::Wrong(reason) }
    };
    let mut nar = decoder_of(DecoderKind::Relayed, Arriving::new(arriving), compression).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match nar.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        size += read as u64;
        if size > nar_size {
            return Err(Fault::Wrong("its NAR is longer than promised".to_owned()));
        }
        hasher.update(&buffer[..read]);
    }
    if size != nar_size || *nar_hash.as_bytes() != <[u8; 32]>::from(hasher.finalize()) {
        return Err(Fault::Wrong("its NAR is another one than promised".to_owned()));
    }
    Ok(())
}
