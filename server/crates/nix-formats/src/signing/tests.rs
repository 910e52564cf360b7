#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{NarHash, StorePath};

/// Protocol reference 10.4.
const SECRET: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const ALONE: &str = "1;/nix/store/00000000000000000000000000000000-demo;sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s;3;";
const ALONE_SIGNATURE: &str =
    "R8RAk8saQba6bdeVBpaXI55MXandu50oYcW4jf5hVijpCBwm3uOFcclGdpzzyL+b1NmNa71bTCuG+XX/uV/zBg==";
const WITH_REFERENCES: &str = "1;/nix/store/00000000000000000000000000000000-demo;sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s;3;/nix/store/00000000000000000000000000000000-demo,/nix/store/11111111111111111111111111111111-dep";
const WITH_REFERENCES_SIGNATURE: &str =
    "G3aY+v2hklSgge5fD3dF/WE62adTfDQtqcoSf0ozOU8m854Ci11c42hah5Bb3Fl6WbElj/9UrBH7iAqaHYfrCw==";

fn key() -> SigningKey {
    SigningKey::from_base64("demo-1", SECRET).unwrap()
}

fn path(base_name: &str) -> StorePath {
    StorePath::from_base_name(base_name).unwrap()
}

fn demo() -> (StorePath, NarHash) {
    let hash = "sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";
    (path("00000000000000000000000000000000-demo"), NarHash::parse(hash).unwrap())
}

#[test]
fn the_reference_fingerprints_hold_whatever_the_order_of_references() {
    let (demo, hash) = demo();
    let dep = path("11111111111111111111111111111111-dep");
    assert_eq!(fingerprint(&demo, &hash, 3, &[]), ALONE);
    let orders = [
        vec![demo.clone(), dep.clone()],
        vec![dep.clone(), demo.clone()],
        vec![dep.clone(), demo.clone(), dep],
    ];
    for references in orders {
        assert_eq!(fingerprint(&demo, &hash, 3, &references), WITH_REFERENCES);
    }
}

#[test]
fn the_reference_keys_and_signatures_hold() {
    let mut seed = [0; 32];
    (0..).zip(&mut seed).for_each(|(value, byte)| *byte = value);
    let from_seed = SigningKey::from_seed("demo-1", &seed).unwrap();
    assert_eq!(*from_seed.to_nix_string(), format!("demo-1:{SECRET}"));

    let public = key().public_key();
    assert_eq!(public.to_string(), format!("demo-1:{PUBLIC}"));
    assert_eq!(public.key_base64(), PUBLIC);
    assert_eq!(PublicKey::from_base64("demo-1", PUBLIC), Ok(public.clone()));
    assert_eq!(PublicKey::parse(&public.to_string()), Ok(public.clone()));

    for (text, bare) in [(ALONE, ALONE_SIGNATURE), (WITH_REFERENCES, WITH_REFERENCES_SIGNATURE)] {
        let signature = Signature::from_base64("demo-1", bare).unwrap();
        assert_eq!(key().sign(text), signature);
        assert_eq!(signature.to_string(), format!("demo-1:{bare}"));
        assert!(public.verify(text, &signature));
    }
}

#[test]
fn a_signature_of_another_text_key_or_name_does_not_verify() {
    let public = key().public_key();
    assert!(!public.verify(WITH_REFERENCES, &key().sign(ALONE)));
    let renamed = Signature::from_base64("demo-2", ALONE_SIGNATURE).unwrap();
    assert!(!public.verify(ALONE, &renamed));
    let other = SigningKey::generate("demo-1").unwrap();
    assert!(!public.verify(ALONE, &other.sign(ALONE)));
    assert!(other.public_key().verify(ALONE, &other.sign(ALONE)));
}

#[test]
fn no_flipped_bit_of_a_signature_verifies() {
    let (public, signature) = (key().public_key(), key().sign(ALONE));
    for bit in 0..Signature::LEN * 8 {
        let mut bytes = *signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!public.verify(ALONE, &Signature::new("demo-1", bytes)), "bit {bit}");
    }
}

#[test]
fn a_key_file_comes_back_and_may_end_in_a_line_end() {
    let key = SigningKey::generate("cache.example.org-1").unwrap();
    let text = format!("{}\n", *key.to_nix_string());
    let again = SigningKey::parse(&text).unwrap();
    assert_eq!(again.name(), "cache.example.org-1");
    assert_eq!(again.public_key(), key.public_key());
}

#[test]
fn debug_output_holds_no_secret() {
    let shown = format!("{:?}", key());
    assert!(shown.contains("demo-1"));
    assert!(!shown.contains(&SECRET[..8]));
    // Nor do errors about a damaged secret.
    let error = SigningKey::parse(&format!("demo-1:{}!", &SECRET[1..])).unwrap_err();
    assert!(!error.to_string().contains(&SECRET[1..9]));
}

#[test]
fn names_that_would_break_a_line_or_a_list_are_refused() {
    for name in ["", "a b", "a\tb", "a\nb", "a\rb", "a\0b", "a:b", "a\u{a0}b", "a\u{85}b"] {
        assert_eq!(SigningKey::generate(name).unwrap_err(), KeyError::Name, "{name:?}");
        assert_eq!(PublicKey::from_base64(name, PUBLIC), Err(KeyError::Name));
        assert_eq!(Signature::from_base64(name, ALONE_SIGNATURE), Err(KeyError::Name));
    }
}

#[test]
fn malformed_keys_and_signatures_are_told_apart() {
    let length = |expected, actual| KeyError::Length { expected, actual };
    assert_eq!(PublicKey::parse(PUBLIC), Err(KeyError::NoName));
    assert_eq!(PublicKey::parse(&format!(":{PUBLIC}")), Err(KeyError::Name));
    assert_eq!(PublicKey::parse("a:"), Err(length(32, 0)));
    assert_eq!(PublicKey::parse("a:%"), Err(KeyError::Base64));
    assert_eq!(PublicKey::parse(&format!("a:b:{PUBLIC}")), Err(KeyError::Base64));
    assert_eq!(PublicKey::parse(&format!("a:{PUBLIC} ")), Err(KeyError::Base64));
    assert_eq!(PublicKey::parse(&format!("a:{SECRET}")), Err(length(32, 64)));
    assert_eq!(Signature::parse(&format!("a:{PUBLIC}")), Err(length(64, 32)));
    assert_eq!(SigningKey::parse(&format!("a:{PUBLIC}")).unwrap_err(), length(64, 32));
    assert_eq!(SigningKey::parse(&format!("a:{ALONE_SIGNATURE}")).unwrap_err(), KeyError::Halves);
}

#[test]
fn public_keys_that_anybody_can_sign_for_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for weak in [[0; 32], identity] {
        assert_eq!(PublicKey::from_bytes("a", &weak), Err(KeyError::PublicKey));
    }
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    assert_eq!(PublicKey::from_bytes("a", &off_curve), Err(KeyError::PublicKey));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text: String) {
        let _ = (Signature::parse(&text), PublicKey::parse(&text), SigningKey::parse(&text));
    }

    #[test]
    fn any_signature_comes_back_from_its_text(bytes in proptest::collection::vec(any::<u8>(), 64)) {
        let signature = Signature::new("a.b-1", bytes.try_into().unwrap());
        prop_assert_eq!(Signature::parse(&signature.to_string()), Ok(signature));
    }
}
