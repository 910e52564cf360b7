//! The NAR of a store path, read from the filesystem, compressed, and cut into parts: one pass, bounded memory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use liblzma::write::XzEncoder;
use md5::Md5;
use nix_formats::{FileHash, NarHash, nar};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

/// The usual size of a part. Parts are held in memory, because each is announced with its MD5 before it is sent.
const PART: u64 = 8 << 20;
/// Larger NARs get larger parts, so that there are never more than 10,000 of them.
const MOST_PARTS: u64 = 9_000;
/// What is collected before it is hashed and compressed.
const BUFFER: usize = 128 << 10;

/// How a NAR is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// zstd, with its level.
    Zstd(i32),
    /// xz, with its level.
    Xz(u32),
}

impl Packing {
    /// The value of the query parameter `compression`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd(_) => "zst",
            Self::Xz(_) => "xz",
        }
    }
}

/// One part of a compressed NAR.
#[derive(Debug)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Its MD5.
    pub md5: [u8; 16],
    /// Its bytes.
    pub bytes: Bytes,
}

/// What a NAR turned out to be.
#[derive(Debug)]
pub struct Packed {
    /// SHA-256 of the NAR.
    pub nar_hash: NarHash,
    /// Length of the NAR.
    pub nar_size: u64,
    /// SHA-256 of the compressed file.
    pub file_hash: FileHash,
    /// Length of the compressed file.
    pub file_size: u64,
}

/// Packs the tree at `path`, whose NAR has `nar_size` bytes, and sends its parts. Calls `count` with the lengths of the pieces
/// of the NAR that were read. Blocks.
///
/// # Errors
///
/// If a file cannot be read, or the receiver of the parts is gone (then of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe)).
pub fn pack(
    path: &Path,
    nar_size: u64,
    packing: Packing,
    parts: mpsc::Sender<Part>,
    count: &dyn Fn(u64),
) -> io::Result<Packed> {
    let encoder = Encoder::new(packing, Cutter::new(parts, nar_size))?;
    let counted = Hashing { inner: encoder, hash: Sha256::new(), size: 0, count };
    let mut writer = nar::Writer::new(BufWriter::with_capacity(BUFFER, counted))?;
    write_tree(&mut writer, path)?;
    let counted = writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    let Hashing { inner, hash, size, .. } = counted;
    let (file_hash, file_size) = inner.finish()?.finish()?;
    Ok(Packed { nar_hash: NarHash::from_bytes(hash.finalize().into()), nar_size: size, file_hash, file_size })
}

/// What is still to be written of a tree.
enum Step {
    /// A file, with the name that it has in the archive.
    Enter(PathBuf, Vec<u8>),
    /// The end of a directory.
    Leave,
}

/// Writes a tree. The directories are kept in a list of our own, because they may be deeper than the stack.
fn write_tree<W: Write>(writer: &mut nar::Writer<W>, root: &Path) -> io::Result<()> {
    let mut steps = vec![Step::Enter(root.to_owned(), Vec::new())];
    while let Some(step) = steps.pop() {
        let Step::Enter(path, name) = step else {
            writer.leave_directory()?;
            continue;
        };
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            writer.enter_directory(&name)?;
            steps.push(Step::Leave);
            let entry = |entry: io::Result<fs::DirEntry>| {
                let entry = entry?;
                Ok((archive_name(entry.file_name().into_vec()), entry.path()))
            };
            let mut entries = fs::read_dir(&path)?.map(entry).collect::<io::Result<Vec<_>>>()?;
            entries.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
            steps.extend(entries.into_iter().map(|(name, path)| Step::Enter(path, name)));
        } else if metadata.is_symlink() {
            writer.symlink(&name, fs::read_link(&path)?.as_os_str().as_bytes())?;
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o100 != 0;
            writer.file(&name, executable, metadata.len(), File::open(&path)?)?;
        } else {
            return Err(io::Error::other(format!(
                "{} is neither a file nor a directory nor a link",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The name of a file in the archive. Where two names would differ by case only, Nix on macOS adds a suffix on disk.
fn archive_name(name: Vec<u8>) -> Vec<u8> {
    const SUFFIX: &[u8] = b"~nix~case~hack~";
    let at =
        name.windows(SUFFIX.len()).position(|window| window == SUFFIX).filter(|_| cfg!(target_os = "macos"));
    match at {
        Some(at) => name[..at].to_vec(),
        None => name,
    }
}

/// Counts and hashes the NAR on its way to the encoder.
struct Hashing<'c> {
    inner: Encoder,
    hash: Sha256,
    size: u64,
    count: &'c dyn Fn(u64),
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        (self.count)(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Encoder {
    Zstd(zstd::Encoder<'static, Cutter>),
    Xz(XzEncoder<Cutter>),
}

impl Encoder {
    fn new(packing: Packing, cutter: Cutter) -> io::Result<Self> {
        match packing {
            Packing::Zstd(level) => Ok(Self::Zstd(zstd::Encoder::new(cutter, level)?)),
            Packing::Xz(level) => Ok(Self::Xz(XzEncoder::new(cutter, level))),
        }
    }

    fn finish(self) -> io::Result<Cutter> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Xz(encoder) => encoder.write_all(bytes),
        }
    }
}

/// Cuts a file into parts of one size; the last one is smaller.
struct Cutter {
    parts: mpsc::Sender<Part>,
    part_size: usize,
    current: Vec<u8>,
    number: u32,
    hash: Sha256,
    size: u64,
}

impl Cutter {
    fn new(parts: mpsc::Sender<Part>, nar_size: u64) -> Self {
        let part_size = PART.max(nar_size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20));
        let part_size = usize::try_from(part_size).unwrap_or(usize::MAX);
        Self { parts, part_size, current: Vec::new(), number: 0, hash: Sha256::new(), size: 0 }
    }

    fn send(&mut self) -> io::Result<()> {
        self.number += 1;
        let bytes = std::mem::take(&mut self.current);
        let part = Part { number: self.number, md5: Md5::digest(&bytes).into(), bytes: bytes.into() };
        self.parts.blocking_send(part).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<(FileHash, u64)> {
        if !self.current.is_empty() || self.number == 0 {
            self.send()?;
        }
        Ok((FileHash::from_bytes(self.hash.finalize().into()), self.size))
    }
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.part_size - self.current.len());
        let bytes = &bytes[..taken];
        self.current.extend_from_slice(bytes);
        self.hash.update(bytes);
        self.size += taken as u64;
        if self.current.len() == self.part_size {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
