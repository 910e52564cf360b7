#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NIX32: &str = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";

#[test]
fn every_compression_has_its_extension_and_narinfo_name() {
    for (compression, extension, name) in [
        (Compression::None, "", "none"),
        (Compression::Xz, ".xz", "xz"),
        (Compression::Zstd, ".zst", "zstd"),
        (Compression::Bzip2, ".bz2", "bzip2"),
        (Compression::Gzip, ".gz", "gzip"),
        (Compression::Brotli, ".br", "br"),
        (Compression::Lz4, ".lz4", "lz4"),
        (Compression::Lzip, ".lzip", "lzip"),
    ] {
        let file = NarFileName::parse(&format!("{NIX32}.nar{extension}")).unwrap();
        assert_eq!(file.compression, compression);
        assert_eq!(compression.to_string(), name);
        assert_eq!(name.parse(), Ok(compression));
    }
    assert!("zst".parse::<Compression>().is_err());
}

#[test]
fn hex_and_base_32_name_the_same_file() {
    let name = NarFileName::parse(&format!("{HEX}.nar.zst")).unwrap();
    assert_eq!(name, NarFileName::parse(&format!("{NIX32}.nar.zst")).unwrap());
    assert_eq!(name.to_string(), format!("{NIX32}.nar.zst"));
}

#[test]
fn other_names_are_refused() {
    for name in [
        String::new(),
        ".nar".to_owned(),
        NIX32.to_owned(),
        format!("{NIX32}.na"),
        format!("{NIX32}.nar."),
        format!("{NIX32}.nar.zstd"),
        format!("{NIX32}.nar.xz.xz"),
        format!("{NIX32}.narinfo"),
        format!("{NIX32}.nar/"),
        format!("nar/{NIX32}.nar"),
        format!("../{NIX32}.nar"),
        format!("sha256:{NIX32}.nar"),
        // Base 64 without a character that gives it away but for its end.
        format!("{}=.nar", "A".repeat(43)),
    ] {
        assert_eq!(NarFileName::parse(&name), Err(ParseNarFileNameError), "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text: String) {
        let _ = NarFileName::parse(&text);
    }
}
