//! `x:<name>`: a text that an operator leaves for another, to test whether records are stored.

use std::fmt;
use std::str::FromStr;

use super::codec::Reader;
use super::{LIMIT, Name, Record};
use crate::{Stamp, Timing};

/// The longest name.
const LONGEST_NAME: usize = 32;

/// The name of a note: 1 to 32 letters, digits, hyphens, dots or underscores.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct NoteName {
    bytes: [u8; LONGEST_NAME],
    length: u8,
}

/// A text is not the name of a note.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a note is 1 to {LONGEST_NAME} letters, digits, hyphens, dots or underscores")]
pub struct NoteNameError;

impl NoteName {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length.into()]).expect("names are ASCII")
    }
}

impl FromStr for NoteName {
    type Err = NoteNameError;

    fn from_str(text: &str) -> Result<Self, NoteNameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(fits) {
            return Err(NoteNameError);
        }
        let mut bytes = [0; LONGEST_NAME];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, length: u8::try_from(text.len()).map_err(|_| NoteNameError)? })
    }
}

impl fmt::Display for NoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text and when it was written. The latest one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// When it was written; `None` if there is no note.
    pub written: Option<Stamp>,
    /// The text.
    pub text: String,
}

impl Note {
    /// The longest text in bytes.
    pub const LONGEST: usize = LIMIT - 4;
}

impl Record for Note {
    fn decode(_: &Name, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let written = reader.stamp()?;
        let text = std::str::from_utf8(reader.0).ok()?.to_owned();
        Some(Self { written: Some(written), text })
    }

    fn encode(&self) -> Vec<u8> {
        let written = self.written.unwrap_or(Stamp(0));
        let end = (0..=Self::LONGEST).rev().find(|end| self.text.is_char_boundary(*end)).unwrap_or(0);
        [&written.0.to_be_bytes(), &self.text.as_bytes()[..end]].concat()
    }

    fn merge(&mut self, other: Self) {
        if self.written < other.written {
            *self = other;
        }
    }

    fn prune(&mut self, now: Stamp, timing: &Timing) {
        if self.written.is_some_and(|written| !written.is_fresh(now, timing.provider_max_age)) {
            *self = Self::default();
        }
    }
}
