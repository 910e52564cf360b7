//! A body in chunks (RFC 9112, section 7.1).

/// What was seen of a body so far.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    part: Part,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// The size of a chunk, as far as it was read.
    #[default]
    Start,
    Size(u64),
    /// The rest of the line with the size, which says nothing.
    Extension(u64),
    /// The line feed after the carriage return of that line.
    SizeEnd(u64),
    /// So many bytes of a chunk.
    Data(u64),
    DataReturn,
    DataEnd,
    /// A line of the trailer: whether a byte of it was seen, and whether the last one was a carriage return.
    Trailer {
        is_empty: bool,
        returned: bool,
    },
    Complete,
}

impl Chunks {
    /// Whether the last chunk and the trailer have come.
    pub(super) fn are_complete(&self) -> bool {
        self.part == Part::Complete
    }

    /// Takes in bytes up to the end of the body. Returns how many, or `None` where they are no chunks.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && self.part != Part::Complete {
            if let Part::Data(left) = self.part {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                let left = left - here as u64;
                self.part = if left == 0 { Part::DataReturn } else { Part::Data(left) };
                continue;
            }
            self.part = self.part.after(bytes[at])?;
            at += 1;
        }
        Some(at)
    }
}

impl Part {
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Start, _) => Self::Size(u64::from(digit(byte)?)),
            (Self::Size(size), b'\r') | (Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size(size), b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(size), _) => Self::Size(size.checked_mul(16)?.checked_add(u64::from(digit(byte)?))?),
            (Self::Extension(_), b'\n') => return None,
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeEnd(0), b'\n') => Self::Trailer { is_empty: true, returned: false },
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Start,
            (Self::Trailer { is_empty: true, returned: true }, b'\n') => Self::Complete,
            (Self::Trailer { .. }, b'\n') => Self::Trailer { is_empty: true, returned: false },
            (Self::Trailer { is_empty, returned: false }, b'\r') => {
                Self::Trailer { is_empty, returned: true }
            }
            (Self::Trailer { .. }, _) => Self::Trailer { is_empty: false, returned: false },
            _ => return None,
        })
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
