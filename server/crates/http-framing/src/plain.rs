//! Plain requests: those that can be answered without a full parser.
//!
//! A request is plain if it is a `GET` or `HEAD` of HTTP/1.1 without a body, without conditions or ranges, that neither closes nor upgrades its
//! connection. The grammar here is much narrower than that of HTTP. Whatever it does not cover is [`Parsed::Other`] and belongs to the real
//! parser, so a mistake on the side of caution costs time only. A plain request means the same to every parser.

/// The most bytes of the head of a plain request.
pub const LONGEST: usize = 4096;
/// The most headers of a plain request: fewer than any parser takes.
const MOST_HEADERS: usize = 48;
const VERSION: &[u8] = b" HTTP/1.1\r\n";

/// Headers that make a request more than plain, beside all that begin with `if-`.
const UNUSUAL: [&[u8]; 9] = [
    b"content-length",
    b"expect",
    b"http2-settings",
    b"keep-alive",
    b"proxy-connection",
    b"range",
    b"te",
    b"transfer-encoding",
    b"upgrade",
];

/// What the bytes of a connection begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Part of the head of what may become a plain request.
    Incomplete,
    /// A plain request, and the length of its head in bytes.
    Plain(Plain<'a>, usize),
    /// Something else.
    Other,
}

/// A plain request.
#[derive(Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Whether it is a `HEAD`.
    pub is_head: bool,
    /// The path: a slash, then letters, digits and `-._/`. There is no query.
    pub path: &'a str,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
}

/// Looks at the start of `bytes`. A header called `reserved`, which is in lower case, makes a request more than plain as well.
pub fn parse<'a>(bytes: &'a [u8], reserved: &str) -> Parsed<'a> {
    let head = if bytes.len() > LONGEST { &bytes[..LONGEST] } else { bytes };
    match parse_head(head, reserved.as_bytes()) {
        Err(Stop::AtEnd) if head.len() < LONGEST => Parsed::Incomplete,
        Err(_) => Parsed::Other,
        Ok((plain, length)) => Parsed::Plain(plain, length),
    }
}

/// Why parsing stopped.
enum Stop {
    /// The bytes end too early. So far they are plain.
    AtEnd,
    /// They are not plain.
    Other,
}

fn parse_head<'a>(bytes: &'a [u8], reserved: &[u8]) -> Result<(Plain<'a>, usize), Stop> {
    let mut reader = Reader { bytes, at: 0 };
    let is_head = bytes.first() == Some(&b'H');
    reader.literal(if is_head { b"HEAD " } else { b"GET " })?;
    let path = reader.path()?;
    reader.literal(VERSION)?;
    let mut plain = Plain { is_head, path, host: None, authorization: None };
    for _ in 0..=MOST_HEADERS {
        if reader.peek()? == b'\r' {
            reader.literal(b"\r\n")?;
            return Ok((plain, reader.at));
        }
        let name = reader.name()?;
        let value = reader.value()?;
        plain.note(name, value, reserved)?;
    }
    Err(Stop::Other)
}

impl<'a> Plain<'a> {
    fn note(&mut self, name: &[u8], value: &'a str, reserved: &[u8]) -> Result<(), Stop> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        let slot = match name.len() {
            4 if is(b"host") => &mut self.host,
            13 if is(b"authorization") => &mut self.authorization,
            10 if is(b"connection") => {
                return if value.eq_ignore_ascii_case("keep-alive") { Ok(()) } else { Err(Stop::Other) };
            }
            _ => {
                let is_condition = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"if-"));
                let is_unusual = is_condition || is(reserved) || UNUSUAL.iter().any(|unusual| is(unusual));
                return if is_unusual { Err(Stop::Other) } else { Ok(()) };
            }
        };
        // A second one would be another opinion.
        if slot.is_some() || value.is_empty() {
            return Err(Stop::Other);
        }
        *slot = Some(value);
        Ok(())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::AtEnd)
    }

    fn literal(&mut self, expected: &[u8]) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        if rest.len() < expected.len() {
            return Err(if expected.starts_with(rest) { Stop::AtEnd } else { Stop::Other });
        }
        if !rest.starts_with(expected) {
            return Err(Stop::Other);
        }
        self.at += expected.len();
        Ok(())
    }

    /// Takes the bytes of a class, of which there is at least one, up to a byte that is not of it.
    fn run(&mut self, class: u8) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| CLASSES[usize::from(*byte)] & class == 0);
        let length = length.ok_or(Stop::AtEnd)?;
        if length == 0 {
            return Err(Stop::Other);
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn path(&mut self) -> Result<&'a str, Stop> {
        if self.peek()? != b'/' {
            return Err(Stop::Other);
        }
        text(self.run(PATH)?)
    }

    /// Takes the name of a header, and the colon.
    fn name(&mut self) -> Result<&'a [u8], Stop> {
        let name = self.run(NAME)?;
        self.literal(b":")?;
        Ok(name)
    }

    /// Takes the value of a header, without the spaces around it, and the end of the line.
    fn value(&mut self) -> Result<&'a str, Stop> {
        let value = match self.peek()? {
            b'\r' => &[],
            _ => self.run(VALUE)?,
        };
        self.literal(b"\r\n")?;
        Ok(text(value)?.trim_matches([' ', '\t']))
    }
}

/// All classes are of ASCII.
fn text(bytes: &[u8]) -> Result<&str, Stop> {
    std::str::from_utf8(bytes).map_err(|_| Stop::Other)
}

const PATH: u8 = 1;
const NAME: u8 = 2;
const VALUE: u8 = 4;

/// The classes of each byte.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        if character.is_ascii_alphanumeric() || matches!(character, b'-' | b'.' | b'_' | b'/') {
            classes[byte] |= PATH;
        }
        if character.is_ascii_alphanumeric() || matches!(character, b'-' | b'_') {
            classes[byte] |= NAME;
        }
        if character == b'\t' || (character >= b' ' && character < 0x7f) {
            classes[byte] |= VALUE;
        }
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests;
