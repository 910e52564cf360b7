//! Opening objects and reading small ones.
//!
//! Most reads of a busy cache hit files in the page cache, where the read itself takes less time than a switch to a blocking thread.
//! Such a read runs immediately, with calls that refuse to wait: `openat2` with `RESOLVE_CACHED` and `preadv2` with `RWF_NOWAIT`.
//! Refused calls run on a blocking thread.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::ReadWriteFlags;

use super::open_files::OpenFile;
use super::pool::{CHUNK, Pool};
use super::stream::FileStream;
use super::threads::Threads;
use super::{LocalStorage, Shared};
use crate::{Blob, Key, Operation, StorageError};

/// How the bytes of an open file are read.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) file: Arc<File>,
    pub(super) pool: Arc<Pool>,
    pub(super) threads: Arc<Threads>,
    /// Whether to try first without a blocking thread.
    pub(super) inline: bool,
}

impl LocalStorage {
    pub(super) async fn read(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        let OpenFile { file, size } = self.open_file(key, expected_size).await?;
        let context = || self.shared.context(Operation::Open, Some(key));
        if let Some(expected) = expected_size.filter(|expected| *expected != size) {
            return Err(StorageError::SizeMismatch { context: context(), expected, actual: size });
        }
        let range = range.unwrap_or(0..size);
        if range.start > range.end || range.end > size {
            return Err(StorageError::InvalidRange { context: context(), range, size });
        }
        let pool = self.shared.files.cache.pool.clone();
        let threads = self.shared.quick.clone();
        let reader = Reader { file, pool, threads, inline: self.shared.answers_inline() };
        match usize::try_from(range.end - range.start) {
            Ok(len) if len <= CHUNK => match reader.read(range.start, len).await {
                Ok(bytes) => Ok(Blob::from_bytes(size, range, bytes)),
                Err(ReadError::Short { len: got }) => Err(StorageError::SizeMismatch {
                    context: context(),
                    expected: size,
                    actual: range.start + got as u64,
                }),
                Err(ReadError::Io(error)) => Err(StorageError::from_io(context(), error)),
            },
            _ => Ok(Blob::from_stream(size, range.clone(), FileStream::new(reader, range))),
        }
    }

    async fn open_file(&self, key: &Key, expected_size: Option<u64>) -> Result<OpenFile, StorageError> {
        if self.shared.answers_inline() {
            if let Some(file) = self.shared.files.find(key, expected_size) {
                return Ok(file);
            }
            if let Some(file) = self.shared.files.open_inline(key, &self.shared.path(key)) {
                return Ok(file);
            }
        }
        let what = key.clone();
        let open = move |shared: &Shared| match shared.files.find(&what, expected_size) {
            Some(file) => Ok(file),
            None => shared.files.open(&what, &shared.path(&what)),
        };
        self.blocking(Operation::Open, Some(key), open).await
    }
}

/// Why the requested bytes cannot be read.
enum ReadError {
    /// The file ended after `len` bytes.
    Short {
        len: usize,
    },
    Io(io::Error),
}

impl Reader {
    /// Reads exactly `len` bytes at `offset`, at most [`CHUNK`].
    async fn read(self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = self.pool.take(len);
        let mut filled = 0;
        if self.inline {
            filled = self.read_inline(buffer.as_mut(), offset);
        }
        if filled < len {
            let file = self.file.clone();
            let rest = move || {
                let read = read_full(&file, &mut buffer.as_mut()[filled..], offset + filled as u64)?;
                Ok((buffer, filled + read))
            };
            (buffer, filled) = self.threads.run(rest).await.map_err(ReadError::Io)?;
        }
        if filled < len { Err(ReadError::Short { len: filled }) } else { Ok(buffer.into_bytes(len)) }
    }

    /// Reads the cached bytes from `offset` on and returns their number. 0 may also mean an error or the end of the file; a blocking
    /// read finds out.
    pub(super) fn read_inline(&self, buffer: &mut [u8], offset: u64) -> usize {
        read_cached(&self.file, offset, buffer)
    }
}

/// Reads the cached bytes from `offset` on and returns their number. 0 may also mean an error or the end of the file.
pub(super) fn read_cached(file: &File, offset: u64, buffer: &mut [u8]) -> usize {
    let mut slices = [IoSliceMut::new(buffer)];
    rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT).unwrap_or(0)
}

/// Fills `buffer` from `offset` on and returns the number of bytes before the end of the file. Blocks.
pub(super) fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
