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

    /// Looks at the next `bytes` of the connection. Returns `false` after it has spoiled a head, after which nothing is looked
    /// at any more.
    pub fn check(&mut self, bytes: &mut [u8]) -> bool {
        let mut at = 0;
        while at < bytes.len() {
            let left = &bytes[at..];
            match &mut self.state {
                State::Done => return true,
                State::Body(length) => {
                    let here = usize::try_from(*length).unwrap_or(usize::MAX).min(left.len());
                    *length -= here as u64;
                    at += here;
                    if *length == 0 {
                        self.state = State::Head(Head::default());
                    }
                }
                State::Chunks(chunks) => match chunks.take(left) {
                    Some(taken) => {
                        at += taken;
                        if chunks.are_complete() {
                            self.state = State::Head(Head::default());
                        }
                    }
                    None => self.state = State::Done,
                },
                State::Head(head) => {
                    let Some(end) = memchr::memchr(b'\n', left) else {
                        head.keep(left);
                        return true;
                    };
                    let line = head.line(&left[..end]);
                    let newline = at + end;
                    at = newline + 1;
                    match line {
                        Line::Doubtful => {
                            bytes[newline] = 0;
                            self.state = State::Done;
                            return false;
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
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
