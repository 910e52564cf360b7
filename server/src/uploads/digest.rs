//! Reads an upload once and learns everything about it: file hash, NAR hash, sizes, listing and debug info.
//!
//! Runs on a blocking thread, beside the network while the upload still grows. Memory is bounded by the decompressor's
//! window, whatever the size of the NAR.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix_formats::nar::NarError;
use nix_formats::{Compression, FileHash, NarHash};
use sha2::{Digest as _, Sha256};

use super::spool::{Attempt, Follower, NarLimitExceeded, PartReplaced, Spool};
use crate::cache::PushError;
use crate::cache::contents::{self, Contents, ContentsError};
use crate::chain::chain;
use crate::decode::decoder_of;
use crate::limits::decoder_memory::{DecoderKind, DecodersBusy};

/// NAR bytes that may be decompressed before the client has announced the NAR's size, on top of a multiple of the
/// compressed size. Beyond it the work waits for the announcement, so that a decompression bomb costs little.
const FREE_NAR_BYTES: u64 = 4 << 30;
/// See [`FREE_NAR_BYTES`].
const FREE_RATIO: u64 = 64;

/// What an upload turned out to be.
#[derive(Clone, Debug)]
pub struct Digest {
    /// SHA-256 of the compressed file.
    pub file_hash: FileHash,
    /// Length of the compressed file in bytes.
    pub file_size: u64,
    /// SHA-256 of the NAR.
    pub nar_hash: NarHash,
    /// What is in the NAR.
    pub contents: Contents,
}

/// Why there is no digest.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The bytes are not what they claim to be. The text is fit for the client.
    #[error("{0}")]
    Corrupt(String),
    /// The NAR is larger than announced; reading stopped there.
    #[error(transparent)]
    TooLarge(#[from] NarLimitExceeded),
    /// The upload changed or stood still meanwhile: read it again once it is complete.
    #[error("the upload changed while it was read")]
    Retry,
    /// Other uploads use the memory for decoders.
    #[error(transparent)]
    Busy(#[from] DecodersBusy),
    /// The disk failed.
    #[error("could not read the spooled upload")]
    Io(#[source] io::Error),
}

/// Digests `spool` in part order, waiting for parts that have not arrived yet; `kind` says whether there may be any. Also
/// returns the parts that were read, for the caller to compare with what the client finally names. Blocks.
pub fn digest(
    spool: &Arc<Spool>,
    compression: Compression,
    kind: DecoderKind,
) -> Result<(Digest, Vec<(u32, Attempt)>), DigestError> {
    let mut source = HashingReader::new(spool.follow());
    let (nar_hash, contents) = digest_nar(spool, &mut source, compression, kind)?;
    // Some decoders stop at their end mark; what follows it would not be part of the NAR.
    match source.read(&mut [0; 1]) {
        Ok(0) => {}
        Ok(_) => {
            return Err(DigestError::Corrupt(
                "there are bytes behind the end of the compressed NAR".to_owned(),
            ));
        }
        Err(error) => return Err(error.into()),
    }
    let (file_hash, file_size, follower) = source.finish();
    let digest = Digest { file_hash: FileHash::from_bytes(file_hash), file_size, nar_hash, contents };
    Ok((digest, follower.into_consumed()))
}

fn digest_nar(
    spool: &Arc<Spool>,
    source: &mut HashingReader<Follower>,
    compression: Compression,
    kind: DecoderKind,
) -> Result<(NarHash, Contents), DigestError> {
    let source_size = source.count.clone();
    let decoder = decoder_of(kind, source, compression)?;
    let mut nar = HashingReader::new(LimitedReader { inner: decoder, spool, produced: 0, source_size });
    let contents = contents::read(&mut nar, spool.side_file("listing"))?;
    let (hash, ..) = nar.finish();
    Ok((NarHash::from_bytes(hash), contents))
}

impl From<DigestError> for PushError {
    fn from(error: DigestError) -> Self {
        match error {
            DigestError::Corrupt(reason) => Self::Corrupt(reason),
            DigestError::TooLarge(exceeded) => Self::TooLarge(exceeded.to_string()),
            DigestError::Retry => Self::Internal,
            DigestError::Busy(busy) => Self::Busy(busy),
            DigestError::Io(source) => source.into(),
        }
    }
}

impl From<ContentsError> for DigestError {
    fn from(error: ContentsError) -> Self {
        match error {
            ContentsError::Nar(NarError::Io(error)) => error.into(),
            ContentsError::Nar(error) => Self::Corrupt(format!("this is not a valid NAR: {}", chain(&error))),
            ContentsError::Listing(error) => Self::Io(error),
        }
    }
}

/// Sorts an error of the whole reading chain, from the spool through the decompressor, by whose fault it is.
impl From<io::Error> for DigestError {
    fn from(error: io::Error) -> Self {
        let replaced = error.get_ref().is_some_and(|inner| inner.is::<PartReplaced>());
        match error.kind() {
            _ if replaced => Self::Retry,
            _ if DecodersBusy::is_cause_of(&error) => Self::Busy(DecodersBusy),
            io::ErrorKind::TimedOut | io::ErrorKind::ConnectionAborted => Self::Retry,
            io::ErrorKind::FileTooLarge => match error.downcast::<NarLimitExceeded>() {
                Ok(exceeded) => Self::TooLarge(exceeded),
                Err(error) => Self::Io(error),
            },
            // A real error of the disk carries an error number; those of the decoders do not.
            _ if error.raw_os_error().is_some() => Self::Io(error),
            io::ErrorKind::UnexpectedEof => Self::Corrupt("the compressed NAR ends too early".to_owned()),
            _ => Self::Corrupt(format!("the compressed NAR cannot be unpacked: {error}")),
        }
    }
}

/// Hashes and counts what is read through it.
struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
    /// Bytes read so far; shared, so that it can be read while the reader is lent out.
    count: Arc<AtomicU64>,
}

impl<R> HashingReader<R> {
    fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), count: Arc::default() }
    }

    fn finish(self) -> ([u8; 32], u64, R) {
        let count = self.count.load(Ordering::Relaxed);
        (self.hasher.finalize().into(), count, self.inner)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Stops decompression at the announced NAR size.
struct LimitedReader<'a, R> {
    inner: R,
    spool: &'a Spool,
    produced: u64,
    source_size: Arc<AtomicU64>,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.produced += read as u64;
        let source_size = self.source_size.load(Ordering::Relaxed);
        let free = FREE_NAR_BYTES.saturating_add(source_size.saturating_mul(FREE_RATIO));
        self.spool.wait_for_nar_budget(self.produced, free)?;
        Ok(read)
    }
}
