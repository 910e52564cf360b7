//! The writing end of one part.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{Attempt, Place, Spool, StoredPart};

/// Writes one attempt of one part. Dropping it before [`PartWriter::finish`] abandons the attempt.
pub struct PartWriter {
    spool: Arc<Spool>,
    attempt: Attempt,
    place: Place,
    written: u64,
    open: bool,
}

impl PartWriter {
    /// The writing end of an attempt that was entered into the upload's state.
    pub(super) fn new(spool: Arc<Spool>, attempt: Attempt, place: Place) -> Self {
        Self { spool, attempt, place, written: 0, open: true }
    }

    /// Appends `bytes`. Blocks.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.place.file.write_all_at(bytes, self.place.offset + self.written)?;
        self.written += bytes.len() as u64;
        let mut state = self.spool.lock();
        if state.closed {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload was aborted"));
        }
        if let Some(writing) = state.writing.get_mut(&self.attempt) {
            writing.written = self.written;
        }
        drop(state);
        self.spool.changed.notify_all();
        Ok(())
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes the part as arrived. It replaces an earlier one of the same number, unless that has the very same bytes.
    pub fn finish(mut self, md5: [u8; 16]) {
        self.open = false;
        let mut state = self.spool.lock();
        if let Some(writing) = state.writing.remove(&self.attempt) {
            let same = state
                .parts
                .get(&writing.part)
                .is_some_and(|part| part.md5 == md5 && part.len == self.written);
            if !same {
                let part =
                    StoredPart { attempt: self.attempt, len: self.written, md5, place: self.place.clone() };
                state.parts.insert(writing.part, part);
            }
        }
        drop(state);
        self.spool.changed.notify_all();
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mut state = self.spool.lock();
        if let Some(writing) = state.writing.remove(&self.attempt)
            && !writing.place.own
        {
            state.placed.retain(|part| *part != writing.part);
        }
        drop(state);
        self.spool.changed.notify_all();
    }
}
