//! Nix's base 32, written from its definition (protocol reference 10.3) and not from the daemon's code.

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

pub fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let digit = |k: usize| {
        let (i, j) = (k * 5 / 8, k * 5 % 8);
        let low = u16::from(bytes[i]);
        let high = u16::from(bytes.get(i + 1).copied().unwrap_or(0));
        let value = (low | high << 8) >> j & 31;
        char::from(ALPHABET[usize::from(value)])
    };
    (0..digits).rev().map(digit).collect()
}

/// Decodes `size` bytes; `None` for any other text.
pub fn decode(text: &str, size: usize) -> Option<Vec<u8>> {
    if text.len() != (size * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = vec![0; size + 1];
    for (k, character) in text.bytes().rev().enumerate() {
        let digit = ALPHABET.iter().position(|&known| known == character)? as u16;
        let (i, j) = (k * 5 / 8, k * 5 % 8);
        let shifted = digit << j;
        bytes[i] |= shifted as u8;
        bytes[(i + 1).min(size)] |= (shifted >> 8) as u8;
    }
    (bytes.pop() == Some(0)).then_some(bytes)
}

#[test]
fn the_oracle_agrees_with_the_published_vectors() {
    use sha2::{Digest as _, Sha256};
    for (text, nix32) in [
        ("", "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"),
        ("abc", "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"),
    ] {
        let digest = Sha256::digest(text);
        assert_eq!(encode(&digest), nix32);
        assert_eq!(decode(nix32, 32).as_deref(), Some(&digest[..]));
    }
    assert_eq!(decode("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 32), None);
}
