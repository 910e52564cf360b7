//! Store paths made up by the tests, with everything a client would announce about them.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::nar::Node;
use super::narinfo::fingerprint;
use super::{nix32, random_bytes, to_hex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Xz,
    Zstd,
}

impl Compression {
    /// The word that the API's `compression` parameter takes.
    pub fn parameter(self) -> &'static str {
        match self {
            Compression::Xz => "xz",
            Compression::Zstd => "zst",
        }
    }

    /// The word that a narinfo has.
    pub fn narinfo_name(self) -> &'static str {
        match self {
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }

    /// The end of the file's name.
    pub fn extension(self) -> &'static str {
        self.parameter()
    }

    pub fn compress(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Compression::Zstd => zstd::encode_all(bytes, 2).unwrap(),
            Compression::Xz => {
                let mut file = Vec::new();
                liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut file).unwrap();
                file
            }
        }
    }

    pub fn decompress(self, file: &[u8]) -> Vec<u8> {
        match self {
            Compression::Zstd => zstd::decode_all(file).unwrap(),
            Compression::Xz => {
                let mut bytes = Vec::new();
                liblzma::read::XzDecoder::new(file).read_to_end(&mut bytes).unwrap();
                bytes
            }
        }
    }
}

/// A store path and the file that carries it.
#[derive(Clone, Debug)]
pub struct Path {
    pub hash: String,
    pub name: String,
    pub nar: Vec<u8>,
    pub compression: Compression,
    /// The compressed NAR.
    pub file: Vec<u8>,
    /// Base names, sorted.
    pub references: Vec<String>,
    pub deriver: Option<String>,
}

impl Path {
    /// A path under a hash that no other test has, with the given contents.
    pub fn of(name: &str, contents: &Node) -> Self {
        Self::of_nar(name, contents.to_nar(), Compression::Zstd)
    }

    pub fn of_nar(name: &str, nar: Vec<u8>, compression: Compression) -> Self {
        Self {
            hash: random_hash(),
            name: name.to_owned(),
            file: compression.compress(&nar),
            nar,
            compression,
            references: Vec::new(),
            deriver: None,
        }
    }

    /// A small path whose contents no other path has.
    pub fn small(name: &str) -> Self {
        let note = format!("{name} {}\n", to_hex(&random_bytes::<16>()));
        let contents = Node::directory([
            ("bin", Node::directory([("tool", Node::program("#!/bin/sh\necho hello\n"))])),
            ("note", Node::file(note)),
            ("tool", Node::symlink("bin/tool")),
        ]);
        Self::of(name, &contents)
    }

    /// A path that holds one file of `size` bytes which do not compress.
    pub fn incompressible(name: &str, size: usize) -> Self {
        Self::of(name, &Node::file(noise(size)))
    }

    pub fn compressed_with(self, compression: Compression) -> Self {
        Self { file: compression.compress(&self.nar), compression, ..self }
    }

    pub fn referring_to(mut self, base_names: impl IntoIterator<Item = String>) -> Self {
        self.references.extend(base_names);
        self.references.sort();
        self
    }

    pub fn derived_by(mut self, deriver: &str) -> Self {
        self.deriver = Some(deriver.to_owned());
        self
    }

    pub fn base_name(&self) -> String {
        format!("{}-{}", self.hash, self.name)
    }

    pub fn store_path(&self) -> String {
        format!("/nix/store/{}", self.base_name())
    }

    /// `sha256:` and 52 digits.
    pub fn nar_hash(&self) -> String {
        format!("sha256:{}", nix32::encode(&Sha256::digest(&self.nar)))
    }

    pub fn file_hash_hex(&self) -> String {
        to_hex(&Sha256::digest(&self.file))
    }

    pub fn file_hash_nix32(&self) -> String {
        nix32::encode(&Sha256::digest(&self.file))
    }

    pub fn fingerprint(&self) -> String {
        fingerprint(&self.store_path(), &self.nar_hash(), self.nar.len() as u64, &self.references)
    }

    /// The bare base64 of a client's signature.
    pub fn signed_with(&self, key: &SigningKey) -> String {
        STANDARD.encode(key.sign(self.fingerprint().as_bytes()).to_bytes())
    }

    /// What the client announces at the end of an upload, without a signature.
    pub fn nar_info_create(&self) -> Value {
        json!({
            "cStoreHash": self.hash,
            "cStoreSuffix": self.name,
            "cNarHash": self.nar_hash(),
            "cNarSize": self.nar.len(),
            "cFileHash": self.file_hash_hex(),
            "cFileSize": self.file.len(),
            "cReferences": self.references,
            "cDeriver": self.deriver.as_deref().unwrap_or("unknown-deriver"),
            "cSig": null,
        })
    }

    /// The text that `nix copy --to` puts, without a signature.
    pub fn narinfo_text(&self) -> String {
        let deriver =
            self.deriver.as_ref().map(|deriver| format!("Deriver: {deriver}\n")).unwrap_or_default();
        format!(
            "StorePath: {}\nURL: {}\nCompression: {}\nFileHash: sha256:{}\nFileSize: {}\nNarHash: {}\nNarSize: {}\n\
             References: {}\n{deriver}",
            self.store_path(),
            self.file_url(),
            self.compression.narinfo_name(),
            self.file_hash_nix32(),
            self.file.len(),
            self.nar_hash(),
            self.nar.len(),
            self.references.join(" "),
        )
    }

    /// The URL under which `nix copy --to` puts the file, relative to the cache.
    pub fn file_url(&self) -> String {
        format!("nar/{}.nar.{}", self.file_hash_nix32(), self.compression.extension())
    }
}

/// The 32 characters of a store path's hash.
pub fn random_hash() -> String {
    nix32::encode(&random_bytes::<20>())
}

/// Bytes that do not compress, different every time.
pub fn noise(size: usize) -> Vec<u8> {
    // SplitMix64: quick, and only has to look random to a compressor.
    let mut state = u64::from_le_bytes(random_bytes());
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
