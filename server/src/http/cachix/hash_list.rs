//! Reads a JSON array of store path hashes while it arrives.
//!
//! The text is not kept: the state of the reader is its position and the current string.

use nix_formats::StorePathHash;

use crate::http::error::HttpError;

/// Longest part of a string that an error shows.
const SHOWN: usize = 48;

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the array.
    Start,
    /// After `[`.
    FirstOrEnd,
    /// After a comma.
    Element,
    /// Within a string.
    Text,
    /// After a backslash.
    Escape,
    /// After `\u` and some of its digits.
    Unicode { digits: u8, value: u32 },
    /// After a string.
    CommaOrEnd,
    /// After the array.
    Done,
}

/// Reads `["HASH", …]` from pieces of any size.
pub struct HashListReader {
    state: State,
    /// Bytes read so far.
    position: u64,
    text: [u8; SHOWN],
    text_len: usize,
    found: usize,
    most: usize,
}

impl HashListReader {
    /// Makes a reader of at most `most` hashes.
    pub fn new(most: usize) -> Self {
        Self { state: State::Start, position: 0, text: [0; SHOWN], text_len: 0, found: 0, most }
    }

    /// Consumes `input` until it is empty or `hashes` has no capacity left.
    pub fn read(&mut self, input: &mut &[u8], hashes: &mut Vec<StorePathHash>) -> Result<(), HttpError> {
        while hashes.len() < hashes.capacity()
            && let Some((byte, rest)) = input.split_first()
        {
            *input = rest;
            self.position += 1;
            if let Some(hash) = self.step(*byte)? {
                self.found += 1;
                if self.found > self.most {
                    return Err(HttpError::bad_request(format!(
                        "more than {} hashes in one request; send several",
                        self.most
                    )));
                }
                hashes.push(hash);
            }
        }
        Ok(())
    }

    /// Checks that the array has ended.
    pub fn finish(&self) -> Result<(), HttpError> {
        if self.state == State::Done { Ok(()) } else { Err(self.malformed("the body ends too early")) }
    }

    fn step(&mut self, byte: u8) -> Result<Option<StorePathHash>, HttpError> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.state = match (self.state, byte) {
            (State::Start | State::FirstOrEnd | State::Element | State::CommaOrEnd | State::Done, _)
                if is_space =>
            {
                self.state
            }
            (State::Start, b'[') => State::FirstOrEnd,
            (State::FirstOrEnd, b']') | (State::CommaOrEnd, b']') => State::Done,
            (State::FirstOrEnd | State::Element, b'"') => {
                self.text_len = 0;
                State::Text
            }
            (State::CommaOrEnd, b',') => State::Element,
            (State::Text, b'"') => {
                self.state = State::CommaOrEnd;
                return self.hash().map(Some);
            }
            (State::Text, b'\\') => State::Escape,
            (State::Text, 0..0x20) => return Err(self.unexpected(byte)),
            (State::Text, _) => {
                self.push(byte)?;
                State::Text
            }
            (State::Escape, b'u') => State::Unicode { digits: 0, value: 0 },
            (State::Escape, _) => {
                let byte = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return Err(self.unexpected(byte)),
                };
                self.push(byte)?;
                State::Text
            }
            (State::Unicode { digits, value }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or_else(|| self.unexpected(byte))?;
                let value = value << 4 | digit;
                if digits < 3 {
                    State::Unicode { digits: digits + 1, value }
                } else {
                    match u8::try_from(value) {
                        Ok(byte) if byte.is_ascii() => self.push(byte)?,
                        _ => {
                            return Err(self.malformed(&format!(
                                "`\\u{value:04x}` cannot be part of a store path hash"
                            )));
                        }
                    }
                    State::Text
                }
            }
            _ => return Err(self.unexpected(byte)),
        };
        Ok(None)
    }

    fn push(&mut self, byte: u8) -> Result<(), HttpError> {
        if self.text_len == SHOWN {
            return Err(self.malformed(&format!("`{}…` is not a store path hash", self.shown())));
        }
        self.text[self.text_len] = byte;
        self.text_len += 1;
        Ok(())
    }

    fn hash(&self) -> Result<StorePathHash, HttpError> {
        let text = &self.text[..self.text_len];
        let hash = std::str::from_utf8(text).ok().map(str::parse::<StorePathHash>);
        match hash {
            Some(Ok(hash)) => Ok(hash),
            Some(Err(error)) => {
                Err(HttpError::bad_request(format!("`{}` is not a store path hash: {error}", self.shown())))
            }
            None => Err(self.malformed(&format!("`{}` is not a store path hash", self.shown()))),
        }
    }

    /// The current string, escaped for an error.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.text[..self.text_len]).escape_debug().to_string()
    }

    fn unexpected(&self, byte: u8) -> HttpError {
        let expected = match self.state {
            State::Start => "`[`",
            State::FirstOrEnd => "a string or `]`",
            State::Element => "a string",
            State::CommaOrEnd => "`,` or `]`",
            State::Done => "nothing more",
            State::Text => "no control character",
            State::Escape => "an escape of JSON",
            State::Unicode { .. } => "a hexadecimal digit",
        };
        let found = byte.escape_ascii();
        self.malformed(&format!("expected {expected}, found `{found}`"))
    }

    fn malformed(&self, reason: &str) -> HttpError {
        let position = self.position;
        HttpError::bad_request(format!(
            "expected a JSON array of store path hashes: {reason} (byte {position} of the body)"
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
