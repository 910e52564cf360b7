#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::{SigningKey, StorePathError, StorePathHash};

const HASH: &str = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";

/// The example of protocol reference 2.3, with values filled in.
const EXAMPLE: &str = "\
StorePath: /nix/store/00000000000000000000000000000000-demo
URL: nar/1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.zst
Compression: zstd
FileHash: sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
FileSize: 1234
NarHash: sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
NarSize: 3
References: 00000000000000000000000000000000-demo 11111111111111111111111111111111-dep
Deriver: 22222222222222222222222222222222-demo.drv
Sig: demo-1:R8RAk8saQba6bdeVBpaXI55MXandu50oYcW4jf5hVijpCBwm3uOFcclGdpzzyL+b1NmNa71bTCuG+XX/uV/zBg==
CA: fixed:r:sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
";

/// [`EXAMPLE`] with the line of `field` put in another way, or left out.
fn with(field: &str, line: &str) -> String {
    let prefix = format!("{field}:");
    EXAMPLE.split_inclusive('\n').map(|old| if old.starts_with(&prefix) { line } else { old }).collect()
}

fn parse_with(field: &str, line: &str) -> Result<NarInfo, NarInfoError> {
    NarInfo::parse(&with(field, line))
}

#[test]
fn the_example_reads_and_renders_unchanged() {
    let info = NarInfo::parse(EXAMPLE).unwrap();
    assert_eq!(info.store_path.name(), "demo");
    assert_eq!(info.compression, Compression::Zstd);
    assert_eq!(info.file_size, Some(1234));
    assert_eq!(info.nar_size, 3);
    assert_eq!(info.references.len(), 2);
    assert_eq!(info.deriver.as_ref().unwrap().name(), "demo.drv");
    assert_eq!(info.signatures[0].name(), "demo-1");
    assert_eq!(info.to_string(), EXAMPLE);
}

#[test]
fn a_signature_verifies_over_the_fingerprint_of_what_was_read() {
    let key = SigningKey::generate("demo-1").unwrap();
    let mut info = NarInfo::parse(EXAMPLE).unwrap();
    info.references.reverse();
    info.signatures = vec![key.sign(&info.fingerprint())];
    let read = NarInfo::parse(&info.to_string()).unwrap();
    assert!(key.public_key().verify(&read.fingerprint(), &read.signatures[0]));
}

#[test]
fn no_references_keep_the_space_that_nix_needs() {
    let mut info = NarInfo::parse(EXAMPLE).unwrap();
    info.references.clear();
    let text = info.to_string();
    assert!(text.contains("\nReferences: \n"));
    assert_eq!(NarInfo::parse(&text), Ok(info));
}

#[test]
fn references_without_the_space_are_refused() {
    assert_eq!(parse_with("References", "References:\n"), Err(NarInfoError::Line { line: 8 }));
}

#[test]
fn optional_fields_may_be_missing() {
    for field in ["FileHash", "FileSize", "References", "Deriver", "Sig", "CA"] {
        let info = parse_with(field, "").unwrap();
        assert!(!info.to_string().contains(&format!("\n{field}: ")) || field == "References");
        assert_eq!(NarInfo::parse(&info.to_string()), Ok(info));
    }
}

#[test]
fn mandatory_fields_may_not_be_missing() {
    for field in ["StorePath", "URL", "NarHash", "NarSize"] {
        assert_eq!(parse_with(field, ""), Err(NarInfoError::Missing(field)));
    }
}

#[test]
fn a_missing_or_empty_compression_means_bzip2_and_is_then_written_out() {
    for line in ["", "Compression: \n"] {
        let info = parse_with("Compression", line).unwrap();
        assert_eq!(info.compression, Compression::Bzip2);
        assert!(info.to_string().contains("\nCompression: bzip2\n"));
    }
}

#[test]
fn unknown_fields_and_an_unknown_deriver_are_nothing() {
    let info = parse_with("Deriver", "Deriver: unknown-deriver\nSystem: x86_64-linux\n").unwrap();
    assert_eq!(info.deriver, None);
    assert!(!info.to_string().contains("unknown-deriver"));
}

#[test]
fn hashes_may_come_in_any_encoding_and_leave_in_one() {
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (field, value) in [("FileHash", hex), ("NarHash", &format!("sha256:{hex}"))] {
        let info = parse_with(field, &format!("{field}: {value}\n")).unwrap();
        assert!(info.to_string().contains(&format!("{field}: sha256:{HASH}\n")));
    }
}

#[test]
fn every_signature_is_kept_in_order() {
    let other = SigningKey::generate("other-1").unwrap().sign("x");
    let text = EXAMPLE.replace("CA: ", &format!("Sig: {other}\nCA: "));
    let info = NarInfo::parse(&text).unwrap();
    assert_eq!(info.signatures.len(), 2);
    assert_eq!(info.to_string(), text);
}

#[test]
fn signatures_of_other_kinds_are_skipped() {
    let ninety_six = format!("other-1:{}", "eHh4".repeat(32));
    for odd in ["", "demo-1", "demo-1:abc", "sigstore-v1:eyJhIjoxfQ==", "a b:c", ":", &ninety_six] {
        let text = EXAMPLE.replace("Sig: demo-1", &format!("Sig: {odd}\nSig: demo-1"));
        let info = NarInfo::parse(&text).unwrap();
        assert_eq!(info.to_string(), EXAMPLE, "{odd:?}");
    }
}

#[test]
fn no_more_signatures_are_kept_than_anybody_needs() {
    let other = SigningKey::generate("other-1").unwrap().sign("x");
    let text = format!("{EXAMPLE}{}", format!("Sig: {other}\n").repeat(1000));
    assert_eq!(NarInfo::parse(&text).unwrap().signatures.len(), 256);
}

#[test]
fn a_field_given_twice_is_refused() {
    for line in EXAMPLE.lines().filter(|line| !line.starts_with("Sig")) {
        let error = NarInfo::parse(&format!("{EXAMPLE}{line}\n")).unwrap_err();
        assert!(matches!(error, NarInfoError::Duplicate(_)), "{line}: {error}");
    }
}

#[test]
fn malformed_values_are_refused() {
    for line in [
        "StorePath: 00000000000000000000000000000000-demo",
        "StorePath: /nix/store/00000000000000000000000000000000-demo/bin",
        "StorePath: /nix/store/00000000000000000000000000000000-demo\r",
        "URL: ",
        "URL: nar/a b.nar",
        "URL: nar/a\rSig: x",
        "Compression: zst",
        "Compression: lzma",
        "FileHash: sha1:abc",
        "FileSize: -1",
        "FileSize: +1",
        "FileSize: ",
        "FileSize: 18446744073709551616",
        "NarHash: ",
        "NarSize: 0",
        "NarSize: 3 ",
        "References: /nix/store/00000000000000000000000000000000-demo",
        "References: demo",
        "Deriver: demo.drv",
        "Deriver: ",
        "CA: a b",
        "NarSize:3",
        "NarSize",
        "",
    ] {
        let field = line.split(':').next().unwrap();
        let field = if field.is_empty() { "NarSize" } else { field };
        assert!(parse_with(field, &format!("{line}\n")).is_err(), "{line:?}");
    }
}

#[test]
fn a_bad_reference_is_named_with_its_fault() {
    assert_eq!(
        parse_with("References", "References: 00000000000000000000000000000000demo\n"),
        Err(NarInfoError::StorePath { field: "References", source: StorePathError::Dash })
    );
}

#[test]
fn no_text_that_was_cut_off_mid_line_is_read() {
    for end in 0..EXAMPLE.len() {
        if !EXAMPLE[..end].ends_with('\n') {
            assert!(NarInfo::parse(&EXAMPLE[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn a_line_break_in_a_value_adds_no_line() {
    let mut info = NarInfo::parse(EXAMPLE).unwrap();
    info.ca = Some("fixed:x\nSig: forged".to_owned());
    info.url = "nar/x\r\nNarSize: 1".to_owned();
    assert_eq!(info.to_string().lines().count(), EXAMPLE.lines().count());
}

fn any_path() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z][0-9a-zA-Z+._?=-]{0,30}")
        .prop_map(|(hash, name)| StorePath::new(StorePathHash::from_bytes(hash), &name).unwrap())
}

fn any_info() -> impl Strategy<Value = NarInfo> {
    let compression = prop::sample::select(vec![
        Compression::None,
        Compression::Xz,
        Compression::Zstd,
        Compression::Brotli,
        Compression::Lz4,
        Compression::Lzip,
    ]);
    let signature = ("[a-z0-9.-]{1,20}", vec(any::<u8>(), 32)).prop_map(|(name, seed)| {
        let key = SigningKey::from_seed(&name, &seed.try_into().unwrap()).unwrap();
        key.sign("x")
    });
    let file = (
        option::of(any::<[u8; 32]>().prop_map(FileHash::from_bytes)),
        option::of(any::<u64>()),
        any::<[u8; 32]>().prop_map(NarHash::from_bytes),
        1u64..,
    );
    let links = (vec(any_path(), 0..5), option::of(any_path()));
    let rest = (vec(signature, 0..3), option::of("[!-~]{1,30}"));
    (any_path(), "[!-~]{1,40}", compression, file, links, rest).prop_map(
        |(store_path, url, compression, file, links, rest)| NarInfo {
            store_path,
            url,
            compression,
            file_hash: file.0,
            file_size: file.1,
            nar_hash: file.2,
            nar_size: file.3,
            references: links.0,
            deriver: links.1,
            signatures: rest.0,
            ca: rest.1,
        },
    )
}

proptest! {
    #[test]
    fn any_narinfo_comes_back_from_its_text(info in any_info()) {
        prop_assert_eq!(NarInfo::parse(&info.to_string()), Ok(info));
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text: String) {
        let _ = NarInfo::parse(&text);
    }

    #[test]
    fn any_damage_to_one_character_is_refused_or_read_as_it_stands(at in 0..EXAMPLE.len(), new in any::<char>()) {
        let mut text = EXAMPLE.to_owned();
        text.replace_range(at..=at, &new.to_string());
        if let Ok(info) = NarInfo::parse(&text) {
            prop_assert_eq!(NarInfo::parse(&info.to_string()), Ok(info));
        }
    }
}
