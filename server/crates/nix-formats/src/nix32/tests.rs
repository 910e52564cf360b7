#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Protocol reference 10.4.
const VECTORS: [(&str, &str); 2] = [
    (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
    ),
    (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_reference_vectors_hold() {
    for (hex, text) in VECTORS {
        assert_eq!(encode(&unhex(hex)), text);
        assert_eq!(decode(text, 32).unwrap(), unhex(hex));
    }
}

#[test]
fn no_bytes_are_no_text() {
    assert_eq!(encode(&[]), "");
    assert_eq!(decode("", 0), Ok(vec![]));
}

#[test]
fn letters_outside_the_alphabet_are_refused_where_they_stand() {
    for letter in ["e", "o", "t", "u", "A", "/", "-", "\0", "\u{7f}"] {
        let text = format!("{}{letter}{}", "0".repeat(30), "0");
        assert_eq!(decode(&text, 20), Err(Nix32Error::Digit { position: 30 }), "{letter:?}");
    }
}

#[test]
fn a_first_digit_beyond_the_last_byte_is_refused() {
    let rest = "0".repeat(51);
    assert!(decode(&format!("1{rest}"), 32).is_ok());
    for first in ["2", "z"] {
        assert_eq!(decode(&format!("{first}{rest}"), 32), Err(Nix32Error::Padding));
    }
}

#[test]
fn another_length_is_refused() {
    let expected = 32;
    for actual in [0, 31, 33, 52] {
        assert_eq!(decode(&"0".repeat(actual), 20), Err(Nix32Error::Length { expected, actual }));
    }
}

proptest! {
    #[test]
    fn every_byte_string_comes_back(bytes: Vec<u8>) {
        let text = encode(&bytes);
        prop_assert_eq!(text.len(), encoded_len(bytes.len()));
        prop_assert_eq!(decode(&text, bytes.len()).unwrap(), bytes);
    }

    #[test]
    fn any_text_is_refused_or_the_only_one_of_its_bytes(text: String, len in 0usize..40) {
        if let Ok(bytes) = decode(&text, len) {
            prop_assert_eq!(encode(&bytes), text);
        }
    }

    #[test]
    fn texts_of_20_bytes_sort_like_the_reversed_bytes(a: [u8; 20], b: [u8; 20]) {
        let reversed = a.iter().rev().cmp(b.iter().rev());
        prop_assert_eq!(encode(&a).cmp(&encode(&b)), reversed);
    }
}
