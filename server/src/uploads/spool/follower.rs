//! The reading end of an upload that still grows.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{Attempt, Location, Spool, State, replaced};

/// Reads an upload in part order while it grows. See [`Spool::follow`].
pub struct Follower {
    spool: Arc<Spool>,
    part: u32,
    current: Option<Attempt>,
    position: u64,
    consumed: Vec<(u32, Attempt)>,
}

impl Follower {
    /// A reader from the beginning of the upload.
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, part: 1, current: None, position: 0, consumed: Vec::new() }
    }

    /// The parts that were read to their end, in order.
    pub fn into_consumed(self) -> Vec<(u32, Attempt)> {
        self.consumed
    }

    /// Waits until there is something to read. `None` at the end of the upload.
    fn wait_for_bytes(&mut self) -> io::Result<Option<(Location, u64)>> {
        let spool = self.spool.clone();
        let mut state = spool.lock();
        loop {
            match &self.current {
                None => match state.source_of(self.part)? {
                    Source::Attempt(attempt) => {
                        self.current = Some(attempt);
                        self.position = 0;
                        continue;
                    }
                    Source::End => return Ok(None),
                    Source::NotYet => {}
                },
                Some(attempt) => match state.progress_of(self.part, *attempt)? {
                    (location, available, _) if available > self.position => {
                        return Ok(Some((location.clone(), available - self.position)));
                    }
                    (_, _, true) => {
                        self.consumed.push((self.part, *attempt));
                        self.current = None;
                        self.part += 1;
                        continue;
                    }
                    (_, _, false) => {}
                },
            }
            spool.wait(&mut state)?;
        }
    }
}

enum Source {
    Attempt(Attempt),
    End,
    NotYet,
}

impl State {
    /// Where to read `part` from: the stored part, else an attempt under way.
    fn source_of(&self, part: u32) -> io::Result<Source> {
        if let Some(sealed) = &self.sealed {
            let Some((_, attempt)) = sealed.iter().find(|(number, _)| *number == part) else {
                return Ok(Source::End);
            };
            let stored = self.parts.get(&part).is_some_and(|stored| stored.attempt == *attempt);
            return if stored { Ok(Source::Attempt(*attempt)) } else { Err(replaced()) };
        }
        if let Some(stored) = self.parts.get(&part) {
            return Ok(Source::Attempt(stored.attempt));
        }
        let under_way = self.writing.iter().find(|(_, writing)| writing.part == part);
        Ok(under_way.map_or(Source::NotYet, |(attempt, _)| Source::Attempt(*attempt)))
    }

    /// Where the attempt is at the moment, how many bytes of it are there, and whether that is all of them.
    fn progress_of(&self, part: u32, attempt: Attempt) -> io::Result<(&Location, u64, bool)> {
        match (self.parts.get(&part), self.writing.get(&attempt)) {
            (Some(stored), _) if stored.attempt == attempt => Ok((&stored.location, stored.len, true)),
            (_, Some(writing)) => Ok((&writing.location, writing.written, false)),
            _ => Err(replaced()),
        }
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((location, available)) = self.wait_for_bytes()? else { return Ok(0) };
        let wanted = usize::try_from(available).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..wanted];
        let read = match location {
            Location::Disk(place) => place.file.read_at(buffer, place.offset + self.position)?,
            Location::Memory(bytes) => bytes.read_at(buffer, self.position),
        };
        if read == 0 && wanted > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the spooled part is shorter than it was",
            ));
        }
        self.position += read as u64;
        Ok(read)
    }
}
