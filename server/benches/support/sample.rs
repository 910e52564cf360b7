//! Store paths made up for these programs, compressed and ready to be pushed.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use md5::Md5;
use nix_formats::{Compression, FileHash, NarFileName, NarHash, StorePathHash, nar};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use super::Result;
use super::source::Random;

/// Size of the parts that an upload is sent in, as the client has it by default.
pub const PART: u64 = 32 << 20;
/// A file up to this size is kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// A store path and the compressed NAR that carries it.
pub struct Sample {
    /// The hash in its name.
    pub hash: StorePathHash,
    name: String,
    references: Vec<String>,
    /// How the file is compressed.
    pub compression: Compression,
    file: Mutex<SpooledTempFile>,
    /// Length of the file in bytes.
    pub file_size: u64,
    file_hash: FileHash,
    /// Length of the NAR in bytes.
    pub nar_size: u64,
    nar_hash: NarHash,
    /// MD5 of each part, made beforehand: here the server is measured, not the client.
    pub parts: Vec<[u8; 16]>,
}

/// What a path is made of.
pub struct Recipe<R> {
    /// Chooses the path's hash.
    pub random: Random,
    /// What follows the hash in the path's name.
    pub name: String,
    /// How to compress the NAR.
    pub compression: Compression,
    /// What is in the only file.
    pub contents: R,
    /// How long that file is, in bytes.
    pub size: u64,
    /// Base names of other paths.
    pub references: Vec<String>,
}

impl Sample {
    /// Makes a path of one file. A large one goes to a nameless file in `directory`.
    pub fn make(directory: &Path, recipe: Recipe<impl Read>) -> Result<Self> {
        let Recipe { mut random, name, compression, contents, size, mut references } = recipe;
        let file = tempfile::spooled_tempfile_in(IN_MEMORY, directory);
        let encoder = Encoder::new(Hashing::new(file), compression)?;
        let mut nar = nar::Writer::new(BufWriter::with_capacity(1 << 18, Hashing::new(encoder)))?;
        nar.file(b"", false, size, contents)?;
        let nar = nar.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut compressed = nar.inner.finish()?;
        let file_size = compressed.count;
        let parts = part_digests(&mut compressed.inner, file_size)?;

        let mut hash = [0; 20];
        hash.fill_with(|| random.next() as u8);
        references.sort();
        references.dedup();
        Ok(Self {
            hash: StorePathHash::from_bytes(hash),
            name,
            references,
            compression,
            file: Mutex::new(compressed.inner),
            file_size,
            file_hash: FileHash::from_bytes(compressed.hasher.finalize().into()),
            nar_size: nar.count,
            nar_hash: NarHash::from_bytes(nar.hasher.finalize().into()),
            parts,
        })
    }

    /// The path without the store directory.
    pub fn base_name(&self) -> String {
        format!("{}-{}", self.hash, self.name)
    }

    /// Where the file is found below a cache.
    pub fn nar_target(&self) -> String {
        format!("/nar/{}", NarFileName { file_hash: self.file_hash, compression: self.compression })
    }

    /// Where the narinfo is found below a cache.
    pub fn narinfo_target(&self) -> String {
        format!("/{}.narinfo", self.hash)
    }

    /// The bytes of a part, counted from 0.
    pub fn read_part(&self, index: usize) -> io::Result<Vec<u8>> {
        read_part(&mut self.file.lock().unwrap_or_else(PoisonError::into_inner), self.file_size, index)
    }

    /// What the client says at the end of an upload.
    pub fn nar_info_create(&self) -> Value {
        json!({
            "cStoreHash": self.hash,
            "cStoreSuffix": self.name,
            "cNarHash": format!("sha256:{}", self.nar_hash),
            "cNarSize": self.nar_size,
            "cFileHash": self.file_hash.to_string(),
            "cFileSize": self.file_size,
            "cReferences": self.references,
            "cDeriver": "unknown-deriver",
            "cSig": null,
        })
    }
}

fn read_part(file: &mut SpooledTempFile, size: u64, index: usize) -> io::Result<Vec<u8>> {
    let start = index as u64 * PART;
    let mut bytes = vec![0; PART.min(size - start) as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn part_digests(file: &mut SpooledTempFile, size: u64) -> io::Result<Vec<[u8; 16]>> {
    let parts = 0..size.div_ceil(PART) as usize;
    parts.map(|index| Ok(Md5::digest(read_part(file, size, index)?).into())).collect()
}

/// Hashes and counts what is written through it.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    count: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Encoder<W: Write> {
    Xz(liblzma::write::XzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Quick levels: how long compression takes is none of the server's business.
    fn new(inner: W, compression: Compression) -> io::Result<Self> {
        match compression {
            Compression::Xz => Ok(Self::Xz(liblzma::write::XzEncoder::new(inner, 0))),
            Compression::Zstd => Ok(Self::Zstd(zstd::stream::write::Encoder::new(inner, 1)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Xz(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Xz(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Xz(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
