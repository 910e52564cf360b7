//! The strings of a NAR, read through one buffer.

use std::io::{self, Read};

use super::NarError;
use super::keyword::Keyword;

/// Bytes asked of the reader at once. Far more than the longest string that is not contents, and enough that what
/// decompresses or hashes in the reader works on long runs.
const BUFFER_LEN: usize = 64 * 1024;

/// Strings begin at multiples of this.
const ALIGN: usize = 8;

/// A reader, what was read of it in advance, and how far the NAR was consumed.
pub(super) struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    /// `buffer[start..end]` is read but not consumed.
    start: usize,
    end: usize,
    offset: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER_LEN].into_boxed_slice(), start: 0, end: 0, offset: 0 }
    }

    /// Bytes consumed so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Consumes the length in front of a string.
    pub(super) fn length(&mut self) -> Result<u64, NarError> {
        let mut length = [0; 8];
        length.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(length))
    }

    /// Consumes a string of at most `max` bytes.
    pub(super) fn string(&mut self, what: &'static str, max: usize) -> Result<&[u8], NarError> {
        let offset = self.offset;
        let len = self.length()?;
        match usize::try_from(len) {
            Ok(len) if len <= max => self.padded(len),
            _ => Err(NarError::TooLong { what, offset, len, max }),
        }
    }

    /// Consumes a fixed string, whichever it is; `expected` is for the error.
    pub(super) fn keyword(&mut self, expected: &'static str) -> Result<Keyword, NarError> {
        let offset = self.offset;
        let unexpected = NarError::Unexpected { expected, offset };
        match usize::try_from(self.length()?) {
            Ok(len) if len <= Keyword::MAX_LEN => Keyword::from_bytes(self.padded(len)?).ok_or(unexpected),
            _ => Err(unexpected),
        }
    }

    /// Consumes this fixed string.
    pub(super) fn expect(&mut self, keyword: Keyword) -> Result<(), NarError> {
        let (offset, expected) = (self.offset, keyword.text());
        let found =
            self.length()? == expected.len() as u64 && self.padded(expected.len())? == expected.as_bytes();
        if !found {
            return Err(NarError::Unexpected { expected, offset });
        }
        Ok(())
    }

    /// Consumes an empty string.
    pub(super) fn expect_empty(&mut self) -> Result<(), NarError> {
        let (offset, expected) = (self.offset, "an empty string");
        if self.length()? != 0 {
            return Err(NarError::Unexpected { expected, offset });
        }
        Ok(())
    }

    /// Consumes the zeros after a string of `len` bytes.
    pub(super) fn padding(&mut self, len: u64) -> Result<(), NarError> {
        let offset = self.offset;
        let padding = (len % ALIGN as u64) as usize;
        let padding = (ALIGN - padding) % ALIGN;
        check_padding(self.take(padding)?, offset)
    }

    /// Consumes one to `max` bytes, as many as are at hand. `max` must not be 0.
    pub(super) fn chunk(&mut self, max: u64) -> Result<&[u8], NarError> {
        self.fill(1)?;
        let len = (self.end - self.start).min(usize::try_from(max).unwrap_or(usize::MAX));
        self.take(len)
    }

    /// Consumes one or more bytes into `target`, which must not be empty. Past the buffer if it is long enough.
    pub(super) fn read_into(&mut self, target: &mut [u8]) -> Result<usize, NarError> {
        if self.start < self.end || target.len() < self.buffer.len() {
            let chunk = self.chunk(target.len() as u64)?;
            target[..chunk.len()].copy_from_slice(chunk);
            return Ok(chunk.len());
        }
        match read(&mut self.reader, target)? {
            0 => Err(self.truncated()),
            len => {
                self.offset += len as u64;
                Ok(len)
            }
        }
    }

    /// Checks that nothing follows.
    pub(super) fn expect_end(&mut self) -> Result<(), NarError> {
        let offset = self.offset;
        if self.start < self.end || read(&mut self.reader, &mut self.buffer)? > 0 {
            return Err(NarError::TrailingData { offset });
        }
        Ok(())
    }

    fn padded(&mut self, len: usize) -> Result<&[u8], NarError> {
        let offset = self.offset + len as u64;
        let (string, padding) = self.take(len.next_multiple_of(ALIGN))?.split_at(len);
        check_padding(padding, offset)?;
        Ok(string)
    }

    /// Consumes exactly `len` bytes, which must fit the buffer.
    fn take(&mut self, len: usize) -> Result<&[u8], NarError> {
        self.fill(len)?;
        let taken = &self.buffer[self.start..self.start + len];
        self.start += len;
        self.offset += len as u64;
        Ok(taken)
    }

    /// Reads until at least `len` bytes are at hand.
    fn fill(&mut self, len: usize) -> Result<(), NarError> {
        if self.end - self.start >= len {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < len {
            match read(&mut self.reader, &mut self.buffer[self.end..])? {
                0 => return Err(self.truncated()),
                read => self.end += read,
            }
        }
        Ok(())
    }

    fn truncated(&self) -> NarError {
        NarError::Truncated { offset: self.offset + (self.end - self.start) as u64 }
    }
}

fn check_padding(padding: &[u8], offset: u64) -> Result<(), NarError> {
    if padding.iter().any(|&byte| byte != 0) {
        return Err(NarError::Padding { offset });
    }
    Ok(())
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, NarError> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(NarError::Io),
        }
    }
}
