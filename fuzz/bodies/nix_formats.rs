//! What the fuzz targets of the formats of Nix do with their input.

use std::io::Read;

use nix_formats::nar::{Found, Listing, NarError, Visitor, find_file, parse};
use nix_formats::{
    ContentAddress, FileHash, NarFileName, NarHash, NarInfo, PublicKey, Signature, StorePath, StorePathHash,
};

/// A target: its name, which is that of the folder of its corpus as well, and what it does.
type Body = (&'static str, fn(&[u8]));

/// The targets.
pub const BODIES: &[Body] =
    &[("nar", nar), ("narinfo", narinfo), ("names", names), ("signatures", signatures)];

/// Sees nothing.
struct Blind;

impl Visitor for Blind {}

/// Reads a few bytes at a time, so that every boundary falls between two reads.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let length = self.1.min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}

/// A NAR is the same whether it arrives whole or in pieces, and no visitor changes whether it is one.
pub fn nar(data: &[u8]) {
    let whole = parse(data, &mut Blind);
    let pieces = parse(Pieces(data, 0), &mut Blind);
    assert_eq!(whole.is_ok(), pieces.is_ok());
    if let Err(NarError::Io(error)) = &whole {
        panic!("reading from memory failed: {error}");
    }
    let mut listing = Listing::new(Vec::new());
    assert_eq!(parse(data, &mut listing).is_ok(), whole.is_ok());
    let _ = listing.finish();
    for path in [&[][..], &["bin"], &["bin", "sh"]] {
        if let Ok(Found::File { mut reader, size, .. }) = find_file(data, path) {
            let mut contents = Vec::new();
            if reader.read_to_end(&mut contents).is_ok() {
                assert_eq!(contents.len() as u64, size);
            }
        }
    }
}

/// What a narinfo is read as comes back from its text.
pub fn narinfo(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = NarInfo::parse(text) else { return };
    let again = NarInfo::parse(&read.to_string()).expect("a narinfo that we write is one");
    assert_eq!(read, again);
}

/// Names and hashes come back from their texts.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = StorePath::from_full_path(text) {
        assert_eq!(path.to_full_path(), text);
    }
    if let Ok(hash) = text.parse::<StorePathHash>() {
        assert_eq!(hash.to_string(), text);
    }
    if let Ok(hash) = NarHash::parse(text) {
        assert!(NarHash::parse(&hash.to_prefixed()).ok() == Some(hash));
    }
    if let Ok(hash) = FileHash::parse(text) {
        assert!(FileHash::parse(&hash.to_prefixed()).ok() == Some(hash));
    }
    if let Ok(name) = NarFileName::parse(text) {
        assert!(!text.contains('/') && NarFileName::parse(&name.to_string()).is_ok());
    }
    if let Ok(address) = ContentAddress::parse(text) {
        assert_eq!(address.to_string(), text);
    }
}

/// Keys and signatures come back from their texts, and no key verifies what it has not signed.
pub fn signatures(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (key, signature) = text.split_once('\n').unwrap_or((text, ""));
    let (key, signature) = (PublicKey::parse(key), Signature::parse(signature));
    if let Ok(signature) = &signature {
        assert!(Signature::parse(&signature.to_string()).ok().as_ref() == Some(signature));
    }
    if let Ok(key) = &key {
        assert!(PublicKey::parse(&key.to_string()).ok().as_ref() == Some(key));
        if let Ok(signature) = &signature {
            assert!(!key.verify("1;/nix/store/never-signed", signature));
        }
    }
}
