#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// SHA-256 of `abc` in every form that Nix writes.
const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NIX32: &str = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";
const BASE64_TEXT: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

#[test]
fn every_form_reads_as_the_same_hash() {
    let expected = NarHash::parse(HEX).unwrap();
    for bare in [HEX, NIX32, BASE64_TEXT, &HEX.to_uppercase()] {
        assert_eq!(NarHash::parse(bare), Ok(expected), "{bare}");
        assert_eq!(NarHash::parse(&format!("sha256:{bare}")), Ok(expected), "{bare}");
    }
    assert_eq!(NarHash::parse(&format!("sha256-{BASE64_TEXT}")), Ok(expected));
}

#[test]
fn each_rendering_is_canonical() {
    let hash: FileHash = HEX.parse().unwrap();
    assert_eq!(hash.to_string(), NIX32);
    assert_eq!(hash.to_prefixed(), format!("sha256:{NIX32}"));
    assert_eq!(hash.to_hex(), HEX);
    assert_eq!(format!("{hash:?}"), format!("FileHash({NIX32})"));
}

#[test]
fn other_algorithms_and_malformed_texts_are_refused() {
    let sri_hex = format!("sha256-{HEX}");
    let twice = format!("sha256:sha256:{NIX32}");
    let sha1 = format!("sha1:{}", "0".repeat(32));
    let unpadded = BASE64_TEXT.trim_end_matches('=');
    let not_hex = HEX.replace('b', "g");
    let multi_byte = "é".repeat(32);
    for text in ["", "sha256:", "sha256-", &sri_hex, &twice, &sha1, unpadded, &not_hex, &multi_byte] {
        assert!(NarHash::parse(text).is_err(), "{text:?}");
    }
    // Base 64 whose unused bits are set would be a second text of the same hash.
    assert_eq!(NarHash::parse(&BASE64_TEXT.replace("Fa0=", "Fa1=")), Err(ParseHashError::Base64));
}

proptest! {
    #[test]
    fn any_hash_comes_back_from_each_form(bytes: [u8; 32]) {
        let hash = FileHash::from_bytes(bytes);
        prop_assert_eq!(FileHash::parse(&hash.to_string()), Ok(hash));
        prop_assert_eq!(FileHash::parse(&hash.to_prefixed()), Ok(hash));
        prop_assert_eq!(FileHash::parse(&hash.to_hex()), Ok(hash));
        let sri = format!("sha256-{}", BASE64.encode(bytes));
        prop_assert_eq!(FileHash::parse(&sri), Ok(hash));
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text: String) {
        let _ = FileHash::parse(&text);
    }

    #[test]
    fn any_text_of_a_telling_length_is_read_or_refused_without_a_panic(text in "(\\PC{44}|\\PC{52}|\\PC{64})") {
        let _ = FileHash::parse(&text);
    }
}
