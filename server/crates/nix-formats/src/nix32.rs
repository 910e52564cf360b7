//! Nix's base 32: the bytes as one little-endian integer, its digits most significant first, in an alphabet without
//! `e`, `o`, `t` and `u` (protocol reference 10.3; `src/libutil/base-nix-32.cc` in Nix).

#[cfg(test)]
mod tests;

use thiserror::Error;

/// The digits in ascending order of value and of ASCII code, so that numbers of one length sort like their texts.
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
    /// The text does not have the length that the number of bytes requires.
    #[error("expected {expected} base-32 characters, found {actual}")]
    Length {
        /// The characters that the bytes require.
        expected: usize,
        /// The length of the text in bytes.
        actual: usize,
    },
    /// A byte of the text is outside the alphabet.
    #[error("byte {position} is not one of 0123456789abcdfghijklmnpqrsvwxyz")]
    Digit {
        /// The offset of the byte, from 0.
        position: usize,
    },
    /// The first character stands for more bits than the bytes have.
    #[error("the first character has bits set beyond the last byte")]
    Padding,
}

/// Returns the characters that `bytes` bytes require: 32 for a store path hash (20 bytes), 52 for SHA-256 (32 bytes).
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// The bytes of a whole number of digits, [`GROUP_DIGITS`].
const GROUP_BYTES: usize = 5;
/// See [`GROUP_BYTES`].
const GROUP_DIGITS: usize = 8;

/// Encodes `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = vec![0; encoded_len(bytes.len())];
    // The first bytes are the last digits.
    for (group, digits) in bytes.chunks(GROUP_BYTES).zip(text.rchunks_mut(GROUP_DIGITS)) {
        let mut word = [0; 8];
        word[..group.len()].copy_from_slice(group);
        let mut word = u64::from_le_bytes(word);
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(word & 0x1f) as usize];
            word >>= 5;
        }
    }
    String::from_utf8(text).expect("all digits are ASCII")
}

/// Decodes the text of exactly `len` bytes.
///
/// # Errors
///
/// See [`Nix32Error`]. Every byte string has exactly one text: [`encode`] returns what `decode` accepts unchanged.
pub fn decode(text: &str, len: usize) -> Result<Vec<u8>, Nix32Error> {
    // Checked before any allocation, so that an untrusted `len` cannot request memory.
    check_len(text, len)?;
    let mut bytes = vec![0; len];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Like [`decode`] without allocation, for the length of `bytes`. After an error the content of `bytes` is unspecified.
///
/// # Errors
///
/// See [`Nix32Error`].
pub fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), Nix32Error> {
    check_len(text, bytes.len())?;
    let mut seen = 0;
    let mut padding = 0;
    for (digits, group) in text.as_bytes().rchunks(GROUP_DIGITS).zip(bytes.chunks_mut(GROUP_BYTES)) {
        let mut word = 0;
        for digit in digits {
            let value = VALUES[usize::from(*digit)];
            seen |= value;
            word = word << 5 | u64::from(value & 0x1f);
        }
        group.copy_from_slice(&word.to_le_bytes()[..group.len()]);
        padding |= word >> (8 * group.len());
    }
    if seen == NOT_A_DIGIT {
        let position = text.bytes().rposition(|character| VALUES[usize::from(character)] == NOT_A_DIGIT);
        return Err(Nix32Error::Digit { position: position.unwrap_or_default() });
    }
    if padding != 0 { Err(Nix32Error::Padding) } else { Ok(()) }
}

fn check_len(text: &str, bytes: usize) -> Result<(), Nix32Error> {
    let (expected, actual) = (encoded_len(bytes), text.len());
    if expected != actual {
        return Err(Nix32Error::Length { expected, actual });
    }
    Ok(())
}
