//! Values of arguments that have a grammar.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// How many characters a store hash has: 160 bits in nix32.
const STORE_HASH_LENGTH: usize = 32;

/// The digits of nix32, the base 32 that store paths are written in.
const NIX32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The hash part of a store path, 32 characters of nix32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHash(String);

impl StoreHash {
    /// The 32 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text names no store path.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StoreHashError {
    /// It is a path, but not one in the store.
    #[error("is not below /nix/store")]
    NotInStore,
    /// It has no hash part of the right length.
    #[error("expected /nix/store/HASH-NAME, HASH-NAME or HASH, with a HASH of 32 characters")]
    Length,
    /// The hash part holds a character that hashes do not have.
    #[error("'{0}' cannot be part of a store hash (those have digits and letters but e, o, t, u)")]
    Digit(char),
}

impl FromStr for StoreHash {
    type Err = StoreHashError;

    /// Takes `/nix/store/HASH-NAME` and anything below it, `HASH-NAME`, and `HASH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let in_store = match text.strip_prefix("/nix/store/") {
            Some(rest) => rest.split('/').next().unwrap_or_default(),
            None if text.contains('/') => return Err(StoreHashError::NotInStore),
            None => text,
        };
        let hash = match in_store.split_once('-') {
            Some((hash, _name)) => hash,
            None => in_store,
        };
        if hash.chars().count() != STORE_HASH_LENGTH {
            return Err(StoreHashError::Length);
        }
        let is_digit = |c: char| u8::try_from(c).is_ok_and(|byte| NIX32.contains(&byte));
        match hash.chars().find(|&c| !is_digit(c)) {
            Some(c) => Err(StoreHashError::Digit(c)),
            None => Ok(Self(hash.to_owned())),
        }
    }
}

/// Reads a duration of at least a second, such as `90d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.as_secs() == 0 => Err("must be at least one second".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error} (write it like 30s, 12h, 90d or 1y)")),
    }
}

/// The units of a size, in lower case, and how many bytes each has: as in the config of the daemon.
const SIZE_UNITS: [(&str, u64); 13] = [
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

/// Reads a speed in bytes per second that is not zero, such as `50MB` or `50MB/s`.
pub fn rate(text: &str) -> Result<u64, String> {
    let size = text.trim_end().strip_suffix("/s").unwrap_or(text);
    let end = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let (digits, unit) = size.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, factor)| factor);
    let (false, Some(factor)) = (digits.is_empty(), factor) else {
        return Err("write it like 50MB, 50MiB or 1G".to_owned());
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(0) => Err("must be at least one byte per second".to_owned()),
        Some(rate) => Ok(rate),
        None => Err("is too large".to_owned()),
    }
}
