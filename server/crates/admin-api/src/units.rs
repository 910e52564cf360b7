//! Sizes as people write and read them.

use thiserror::Error;

/// Why a text is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SizeError {
    /// It is not a whole number, with or without a unit.
    #[error("expected a size such as 50MB, 50MiB or 1G")]
    Malformed,
    /// The number of bytes has more than 64 bits.
    #[error("is too large")]
    TooLarge,
}

/// The units in lower case, and how many bytes each has. As in GNU coreutils, a bare letter is a power of 1024, and a `B`
/// behind it makes it a power of 1000.
const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// Reads a number of bytes such as `500M`, `10 GiB` or `1500`.
///
/// # Errors
///
/// If the text is not a whole number with a known unit, or the product does not fit.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, factor)| factor);
    let (false, Some(factor)) = (digits.is_empty(), factor) else {
        return Err(SizeError::Malformed);
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.ok_or(SizeError::TooLarge)
}

/// Writes a number of bytes so that [`parse_size`] reads the same number: in the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let divides = |shift: &u32| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(|(_, shift)| divides(shift)) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// The units in which sizes are shown.
const SHOWN_UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Returns a size in binary units with three digits, such as `1.21 GiB`; below 1 KiB, the number of bytes.
pub fn rounded_size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = 0;
    // A value that would round up to 1024 takes the next unit.
    while value >= 1023.5 && unit + 1 < SHOWN_UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", SHOWN_UNITS[unit])
}
