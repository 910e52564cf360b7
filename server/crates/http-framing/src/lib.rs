//! Where the requests of an HTTP/1.1 connection begin and end, and whether two servers could disagree about that.
//!
//! A parser that is generous about line ends, or about a request with both `Content-Length` and `Transfer-Encoding`, is no fault
//! by itself. Behind a proxy that is generous in another way it lets one client put words into the mouth of another (request
//! smuggling, RFC 9112, section 11.2). So a [`Framing`] follows the bytes of a connection before the parser sees them. It makes a head that
//! is not beyond doubt one that no parser accepts, by a NUL where its doubtful line ends, so that the parser itself refuses the
//! request and ends the connection.
//!
//! Everything else is left to the parser: a `Framing` gives up silently on what that has to refuse anyway.

mod chunks;
mod head;
pub mod plain;

use self::chunks::Chunks;
use self::head::{Head, Line};

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Framing {
    state: State,
    heads: u64,
}

#[derive(Debug)]
enum State {
    Head(Head),
    /// So many bytes of a body are still to come.
    Body(u64),
    Chunks(Chunks),
    /// Nothing is looked at any more.
    Done,
}

impl Default for Framing {
    fn default() -> Self {
        Self { state: State::Head(Head::default()), heads: 0 }
    }
}

impl Framing {
    /// Stops following: the connection is none of HTTP any more, as after an upgrade.
    pub fn stop(&mut self) {
        self.state = State::Done;
    }

    /// How many heads were complete and beyond doubt.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the connection stands between two requests: everything so far belongs to whole ones.
    pub fn is_between_requests(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.is_empty())
    }

    /// Looks at the next `bytes` of the connection. Returns `false` after it has spoiled a head, after which nothing is looked
    /// at any more.
    pub fn check(&mut self, bytes: &mut [u8]) -> bool {
        let mut at = 0;
        while at < bytes.len() {
            match self.step(&mut bytes[at..]) {
                Step::Taken(taken) => at += taken,
                Step::Spoiled(_) => return false,
            }
        }
        true
    }

    /// Looks at the next `bytes` of the connection up to the end of a request. Returns how many bytes that are: all of them if the
    /// request does not end here.
    pub fn check_one(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, heads) = (0, self.heads);
        let mut is_in_body = !matches!(self.state, State::Head(_));
        while at < bytes.len() {
            match self.step(&mut bytes[at..]) {
                Step::Taken(taken) => at += taken,
                Step::Spoiled(taken) => return at + taken,
            }
            is_in_body |= self.heads > heads;
            if is_in_body && matches!(self.state, State::Head(_)) {
                break;
            }
        }
        at
    }

    /// Looks at the next line of a head, or part of a body. `bytes` are at least one.
    fn step(&mut self, bytes: &mut [u8]) -> Step {
        match &mut self.state {
            State::Done => {}
            State::Body(length) => {
                let here = usize::try_from(*length).unwrap_or(usize::MAX).min(bytes.len());
                *length -= here as u64;
                if *length == 0 {
                    self.state = State::Head(Head::default());
                }
                return Step::Taken(here);
            }
            State::Chunks(chunks) => match chunks.take(bytes) {
                Some(taken) => {
                    if chunks.are_complete() {
                        self.state = State::Head(Head::default());
                    }
                    return Step::Taken(taken);
                }
                None => self.state = State::Done,
            },
            State::Head(head) => {
                let Some(newline) = memchr::memchr(b'\n', bytes) else {
                    head.keep(bytes);
                    return Step::Taken(bytes.len());
                };
                match head.line(&bytes[..newline]) {
                    Line::Doubtful => {
                        bytes[newline] = 0;
                        self.state = State::Done;
                        return Step::Spoiled(newline + 1);
                    }
                    Line::More => {}
                    Line::Last(length) => {
                        self.heads += 1;
                        self.state = match length {
                            head::Length::Known(0) => State::Head(Head::default()),
                            head::Length::Known(length) => State::Body(length),
                            head::Length::Chunked => State::Chunks(Chunks::default()),
                            head::Length::Unknown => State::Done,
                        };
                    }
                }
                return Step::Taken(newline + 1);
            }
        }
        Step::Taken(bytes.len())
    }
}

/// What became of some bytes.
enum Step {
    /// So many of them were looked at.
    Taken(usize),
    /// The last one of so many was spoiled.
    Spoiled(usize),
}

#[cfg(test)]
mod tests;
