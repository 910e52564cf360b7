//! Streaming decompressors that refuse to use much memory.
//!
//! A decoder takes its memory from a budget (see `limits::decoder_memory`) as soon as its stream
//! says how much that is, and before it is used.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use liblzma::stream::{Action, Error, Status, Stream};
use nix_formats::Compression;

use crate::limits::decoder_memory::{DecoderKind, DecoderShare, MOST_PER_DECODER};

/// Size of the reads from the source.
const BUFFER: usize = 128 << 10;
const MIB: u64 = 1 << 20;
/// What a decoder needs besides its window, for buffers and tables.
const OVERHEAD: u64 = MIB;
/// The memory of a gzip decoder.
const GZIP: u64 = MIB;
/// The memory of a bzip2 decoder, whose blocks have up to 900 kB.
const BZIP2: u64 = 4 * MIB;
/// The memory of an LZ4 decoder, whose blocks have up to 4 MiB: one as it arrives, one unpacked, and the window.
const LZ4: u64 = 12 * MIB;
/// Tables of a brotli decoder, which has many.
const BROTLI_TABLES: u64 = 4 * MIB;
/// The memory that an xz decoder begins with.
const XZ_AT_FIRST: u64 = MIB;
/// The window that every zstd decoder gets, as a power of two: 8 MiB, as RFC 8878 recommends. A stream may have several
/// frames, of which only the first is looked at.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A streaming decompressor for `compression` that reads to the end of `source`. Its errors have the kind `ResourceBusy` if
/// other decoders use the memory.
pub fn decoder<'a>(
    source: impl Read + Send + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    decoder_of(DecoderKind::Stored, source, compression)
}

/// The same for a source that is not on disk, or a reader that may be slow.
pub fn decoder_of<'a>(
    kind: DecoderKind,
    source: impl Read + Send + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    if compression == Compression::None {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, source)));
    }
    Ok(Box::new(Lazy::Unopened { kind, source: Some(source), compression }))
}

/// A decoder that looks at its stream when it is read for the first time: until then the source may have nothing to give.
enum Lazy<'a, R> {
    Unopened { kind: DecoderKind, source: Option<R>, compression: Compression },
    Open(Box<dyn Read + Send + 'a>),
}

impl<'a, R: Read + Send + 'a> Read for Lazy<'a, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Open(decoder) => return decoder.read(buffer),
                Self::Unopened { kind, source, compression } => {
                    let source = source.take().ok_or(io::ErrorKind::BrokenPipe)?;
                    *self = Self::Open(open(*kind, source, *compression)?);
                }
            }
        }
    }
}

fn open<'a>(
    kind: DecoderKind,
    mut source: impl Read + Send + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut share = DecoderShare::new(kind);
    let mut head = Vec::with_capacity(ZstdHead::MOST);
    if matches!(compression, Compression::Zstd | Compression::Brotli) {
        source.by_ref().take(ZstdHead::MOST as u64).read_to_end(&mut head)?;
    }
    let decoder: Box<dyn Read + Send + 'a> = match compression {
        Compression::None => return Ok(Box::new(source)),
        Compression::Xz => {
            return Ok(Box::new(Lzma::xz(BufReader::with_capacity(BUFFER, source), share)?));
        }
        Compression::Lzip => {
            return Ok(Box::new(Lzma::lzip(BufReader::with_capacity(BUFFER, source), share)?));
        }
        Compression::Lz4 => {
            share.grow_to(LZ4)?;
            Box::new(Lz4(lz4_flex::frame::FrameDecoder::new(BufReader::with_capacity(BUFFER, source))))
        }
        Compression::Zstd => {
            let log = ZstdHead::window_log(&head).max(ZSTD_WINDOW_LOG);
            share.grow_to(1u64.checked_shl(log).unwrap_or(u64::MAX).saturating_add(OVERHEAD))?;
            let source = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(source));
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
            decoder.window_log_max(log)?;
            Box::new(decoder)
        }
        Compression::Brotli => {
            share.grow_to((1 << brotli_window_log(&head)?) + BROTLI_TABLES)?;
            let source = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(source));
            Box::new(brotli::Decompressor::new(source, BUFFER))
        }
        Compression::Bzip2 => {
            share.grow_to(BZIP2)?;
            Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::with_capacity(BUFFER, source)))
        }
        Compression::Gzip => {
            share.grow_to(GZIP)?;
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, source)))
        }
    };
    Ok(Box::new(Sharing { decoder, _share: share }))
}

/// A decoder with its memory.
struct Sharing<'a> {
    decoder: Box<dyn Read + Send + 'a>,
    _share: DecoderShare,
}

impl Read for Sharing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer)
    }
}

/// The window of a brotli stream, as a power of two, from its first byte (RFC 7932 section 9.1). Large windows are no part of
/// that standard, and take up to 1 GiB.
fn brotli_window_log(head: &[u8]) -> io::Result<u32> {
    let first = u32::from(head.first().copied().unwrap_or(0));
    if first & 1 == 0 {
        return Ok(16);
    }
    match ((first >> 1) & 7, (first >> 4) & 7) {
        (0, 0) => Ok(17),
        (0, 1) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it has a large window, which is not standard"))
        }
        (0, n) => Ok(8 + n),
        (n, _) => Ok(17 + n),
    }
}

/// The beginning of a zstd stream (RFC 8878 section 3.1.1).
struct ZstdHead;

impl ZstdHead {
    /// Bytes of the longest header of a frame.
    const MOST: usize = 18;
    const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

    /// The window of the first frame as a power of two, rounded up; 0 if it does not say, as for frames that are to be
    /// skipped.
    fn window_log(head: &[u8]) -> u32 {
        let Some((descriptor, rest)) = head.strip_prefix(&Self::MAGIC).and_then(|rest| rest.split_first())
        else {
            return 0;
        };
        let size = if descriptor & 0x20 == 0 {
            let Some(window) = rest.first() else { return 0 };
            let base = 1u64 << (10 + (window >> 3));
            base + base / 8 * u64::from(window & 7)
        } else {
            // The window is as large as the content, whose size stands behind the id of a dictionary.
            let id = [0, 1, 2, 4][usize::from(descriptor & 3)];
            let len = [1, 2, 4, 8][usize::from(descriptor >> 6)];
            let Some(field) = rest.get(id..id + len) else { return 0 };
            let mut bytes = [0; 8];
            bytes[..len].copy_from_slice(field);
            u64::from_le_bytes(bytes)
        };
        // 65 or more for what is nowhere near any limit.
        size.checked_next_power_of_two().map_or(u64::BITS, u64::trailing_zeros)
    }
}

/// An LZ4 decoder for any number of frames, one behind the other.
struct Lz4<R: Read>(lz4_flex::frame::FrameDecoder<BufReader<R>>);

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // It ends with each frame.
            let read = self.0.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.0.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
        }
    }
}

/// A decoder of xz or lzip, which learns block by block how much memory it needs.
struct Lzma<R> {
    source: R,
    stream: Stream,
    share: DecoderShare,
}

impl<R: BufRead> Lzma<R> {
    fn xz(source: R, mut share: DecoderShare) -> io::Result<Self> {
        share.grow_to(XZ_AT_FIRST)?;
        let stream = Stream::new_stream_decoder(XZ_AT_FIRST, liblzma::stream::CONCATENATED)?;
        Ok(Self { source, stream, share })
    }

    fn lzip(source: R, mut share: DecoderShare) -> io::Result<Self> {
        share.grow_to(XZ_AT_FIRST)?;
        let stream = Stream::new_lzip_decoder(XZ_AT_FIRST, liblzma::stream::CONCATENATED)?;
        Ok(Self { source, stream, share })
    }

    /// Lets the decoder use as much more memory as it needs.
    fn grow(&mut self) -> io::Result<()> {
        let mut limit = self.stream.memlimit();
        loop {
            // In steps that are small beside what the usual presets need.
            limit =
                if limit < MOST_PER_DECODER { (limit + limit / 4).min(MOST_PER_DECODER) } else { limit + 1 };
            self.share.grow_to(limit)?;
            match self.stream.set_memlimit(limit) {
                Ok(()) => return Ok(()),
                Err(Error::MemLimit) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<R: BufRead> Read for Lzma<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.source.fill_buf()?;
            let is_end = input.is_empty();
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let action = if is_end { Action::Finish } else { Action::Run };
            let result = self.stream.process(input, buffer, action);
            let consumed = (self.stream.total_in() - before_in) as usize;
            let produced = (self.stream.total_out() - before_out) as usize;
            self.source.consume(consumed);
            match result {
                Err(Error::MemLimit) => {
                    self.grow()?;
                    // The same call may have unpacked the end of what came before.
                    if produced > 0 {
                        return Ok(produced);
                    }
                }
                Err(error) => return Err(error.into()),
                Ok(_) if produced > 0 => return Ok(produced),
                Ok(Status::StreamEnd) => return Ok(0),
                Ok(_) if is_end => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if consumed == 0 => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "corrupt stream"));
                }
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
