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

use super::spool::{Attempt, NarLimitExceeded, PartReplaced, SmallBytes, Spool};
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

/// The most NAR bytes of a small upload that are unpacked before the client has announced the NAR's size.
const MOST_EAGER_NAR: u64 = 4 << 20;

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
    let budget = |produced, source| wait_for_budget(spool, produced, source);
    let (digest, follower) = read(spool, spool.follow(), (compression, kind), budget)?;
    Ok((digest, follower.into_consumed()))
}

/// Digests an upload of one part, all of which is in memory. Gives up where that is much work: it is not known yet whether more parts
/// follow, or how large the NAR is to be. Blocks.
pub fn digest_small(
    spool: &Arc<Spool>,
    (attempt, bytes): (Attempt, SmallBytes),
    compression: Compression,
) -> Result<(Digest, Vec<(u32, Attempt)>), DigestError> {
    let budget = |produced, _| match produced {
        0..=MOST_EAGER_NAR => Ok(()),
        _ => Err(io::ErrorKind::TimedOut.into()),
    };
    let (digest, _) = read(spool, &bytes[..], (compression, DecoderKind::Arriving), budget)?;
    Ok((digest, vec![(1, attempt)]))
}

/// Digests what is read from `source`, which is returned. `budget` is asked before more of the NAR is read, with the bytes that were
/// unpacked and those that were read from the source.
fn read<R: Read + Send>(
    spool: &Spool,
    source: R,
    (compression, kind): (Compression, DecoderKind),
    budget: impl Fn(u64, u64) -> io::Result<()>,
) -> Result<(Digest, R), DigestError> {
    let mut source = HashingReader::new(source);
    let source_size = source.count.clone();
    let decoder = decoder_of(kind, &mut source, compression)?;
    let mut nar = HashingReader::new(LimitedReader { inner: decoder, budget, produced: 0, source_size });
    let contents = contents::read(&mut nar, || spool.side_file("listing"))?;
    let (nar_hash, ..) = nar.finish();
    // Some decoders stop at their end mark; what follows it would not be part of the NAR.
    if source.read(&mut [0; 1])? > 0 {
        return Err(DigestError::Corrupt("there are bytes behind the end of the compressed NAR".to_owned()));
    }
    let (file_hash, file_size, source) = source.finish();
    let (file_hash, nar_hash) = (FileHash::from_bytes(file_hash), NarHash::from_bytes(nar_hash));
    Ok((Digest { file_hash, file_size, nar_hash, contents }, source))
}

fn wait_for_budget(spool: &Spool, produced: u64, source: u64) -> io::Result<()> {
    let free = FREE_NAR_BYTES.saturating_add(source.saturating_mul(FREE_RATIO));
    spool.wait_for_nar_budget(produced, free)
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

/// Stops decompression where its budget ends.
struct LimitedReader<R, B> {
    inner: R,
    budget: B,
    produced: u64,
    source_size: Arc<AtomicU64>,
}

impl<R: Read, B: Fn(u64, u64) -> io::Result<()>> Read for LimitedReader<R, B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.produced += read as u64;
        (self.budget)(self.produced, self.source_size.load(Ordering::Relaxed))?;
        Ok(read)
    }
}
