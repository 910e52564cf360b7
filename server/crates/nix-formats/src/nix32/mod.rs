//! Nix's base 32: the bytes as one little-endian integer, its digits most significant first, in an alphabet without
//! `e`, `o`, `t` and `u` (protocol reference 10.3; `src/libutil/base-nix-32.cc` in Nix).

#[cfg(test)]
mod tests;

use thiserror::Error;

/// The digits, in ascending order of value and of ASCII code; so numbers of one length sort like their texts.
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Marks a byte that is no digit in [`VALUES`].
const NOT_A_DIGIT: u8 = 0xff;

/// The value of each digit by its ASCII code.
const VALUES: [u8; 256] = {
    let mut values = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Why a text is not the base-32 form of so many bytes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Nix32Error {
    /// The text has not the one length that the number of bytes asks for.
    #[error("expected {expected} base-32 characters, found {actual}")]
    Length {
        /// Characters that the bytes take.
        expected: usize,
        /// Length of the text in bytes.
        actual: usize,
    },
    /// A byte of the text is outside the alphabet.
    #[error("byte {position} is not one of 0123456789abcdfghijklmnpqrsvwxyz")]
    Digit {
        /// Offset of the byte, from 0.
        position: usize,
    },
    /// The first character stands for more bits than the bytes have.
    #[error("the first character has bits set beyond the last byte")]
    Padding,
}

/// Characters that `bytes` bytes take: 32 for a store path hash (20 bytes), 52 for SHA-256 (32 bytes).
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Renders `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    (0..encoded_len(bytes.len()))
        .rev()
        .map(|digit| {
            let (index, shift) = (digit * 5 / 8, digit * 5 % 8);
            let low = u16::from(bytes[index]);
            let high = u16::from(bytes.get(index + 1).copied().unwrap_or(0));
            char::from(ALPHABET[usize::from((high << 8 | low) >> shift & 0x1f)])
        })
        .collect()
}

/// Reads the text of exactly `len` bytes.
///
/// # Errors
///
/// See [`Nix32Error`]. Every byte string has one text only: what `decode` accepts, [`encode`] gives back unchanged.
pub fn decode(text: &str, len: usize) -> Result<Vec<u8>, Nix32Error> {
    // Checked before anything is allocated, so that a wrong `len` from outside cannot ask for memory.
    check_len(text, len)?;
    let mut bytes = vec![0; len];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Like [`decode`], for as many bytes as `bytes` has, without allocating. After an error `bytes` holds nothing useful.
///
/// # Errors
///
/// See [`Nix32Error`].
pub fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), Nix32Error> {
    check_len(text, bytes.len())?;
    bytes.fill(0);
    for (digit, (position, character)) in text.bytes().enumerate().rev().enumerate() {
        let value = VALUES[usize::from(character)];
        if value == NOT_A_DIGIT {
            return Err(Nix32Error::Digit { position });
        }
        let (index, shift) = (digit * 5 / 8, digit * 5 % 8);
        let [low, high] = (u16::from(value) << shift).to_le_bytes();
        bytes[index] |= low;
        match bytes.get_mut(index + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return Err(Nix32Error::Padding),
            None => {}
        }
    }
    Ok(())
}

fn check_len(text: &str, bytes: usize) -> Result<(), Nix32Error> {
    let (expected, actual) = (encoded_len(bytes), text.len());
    if expected != actual {
        return Err(Nix32Error::Length { expected, actual });
    }
    Ok(())
}
