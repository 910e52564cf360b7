//! The head of a request, line by line.

/// The start of a line that is kept while the rest is still to come: more than any header that matters here, with its value.
const KEPT: usize = 128;

/// What was seen of a head so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The start of a line whose end has not come yet.
    kept: Vec<u8>,
    /// Whether the last byte of that line so far is a carriage return.
    ends_with_cr: bool,
    has_request_line: bool,
    length: Option<Option<u64>>,
    is_encoded: bool,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes, or none.
    Known(u64),
    /// Chunks.
    Chunked,
    /// What no parser accepts.
    Unknown,
}

/// What a line means for the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Others follow.
    More,
    /// It is the empty line at the end.
    Last(Length),
    /// Two servers may understand it in different ways.
    Doubtful,
}

impl Head {
    /// Whether no byte of it has come.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_request_line && self.kept.is_empty()
    }

    /// Keeps the start of a line whose end is still to come.
    pub(super) fn keep(&mut self, start: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len()).min(start.len());
        self.kept.extend_from_slice(&start[..room]);
        if let Some(last) = start.last() {
            self.ends_with_cr = *last == b'\r';
        }
    }

    /// Takes in a line, or the rest of one, without the line feed at its end.
    pub(super) fn line(&mut self, rest: &[u8]) -> Line {
        if self.kept.is_empty() {
            return match rest.split_last() {
                Some((b'\r', line)) => self.whole_line(line),
                _ => Line::Doubtful,
            };
        }
        self.keep(rest);
        if !self.ends_with_cr {
            return Line::Doubtful;
        }
        let mut line = std::mem::take(&mut self.kept);
        // Of a longer line it was not kept.
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.whole_line(&line)
    }

    fn whole_line(&mut self, line: &[u8]) -> Line {
        if !self.has_request_line {
            // Empty lines before a request are passed over.
            self.has_request_line = !line.is_empty();
            return Line::More;
        }
        if line.is_empty() {
            return Line::Last(self.body());
        }
        let Some(colon) = memchr::memchr(b':', line) else { return Line::More };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value);
            // Two that differ are refused by every parser.
            self.length = Some(if self.length.is_none_or(|other| other == length) { length } else { None });
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_encoded = true;
        }
        if self.is_encoded && self.length.is_some() { Line::Doubtful } else { Line::More }
    }

    fn body(&self) -> Length {
        match self.length {
            _ if self.is_encoded => Length::Chunked,
            None => Length::Known(0),
            Some(length) => length.map_or(Length::Unknown, Length::Known),
        }
    }
}

/// The number that a header has for its value.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}
