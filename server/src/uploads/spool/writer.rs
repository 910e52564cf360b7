//! The writing end of one part.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::{Attempt, Location, Place, Spool, copy_by_hand};

/// Writes one attempt of one part. Dropping it before [`PartWriter::finish`] abandons the attempt.
pub struct PartWriter {
    spool: Arc<Spool>,
    attempt: Attempt,
    place: Place,
    written: u64,
    /// Bytes that may be written before the room on the disk is looked at again.
    allowance: u64,
    open: bool,
}

impl PartWriter {
    /// The writing end of an attempt that was entered into the upload's state.
    pub(super) fn new(spool: Arc<Spool>, attempt: Attempt, place: Place) -> Self {
        Self { spool, attempt, place, written: 0, allowance: 0, open: true }
    }

    /// Appends `bytes`. Blocks.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        while let Err(error) = self.try_write(bytes) {
            self.move_on(error)?;
        }
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

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        if self.allowance < len {
            self.allowance = self.spool.spool_dirs.check_room(self.place.directory(), len)?;
        }
        if !self.place.own && self.spool.lock().handed_over {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload is being stored"));
        }
        self.place.file.write_all_at(bytes, self.place.offset + self.written)?;
        self.allowance -= len;
        Ok(())
    }

    /// Goes on in a file on another disk, with what was written so far.
    pub(super) fn move_on(&mut self, error: io::Error) -> io::Result<()> {
        let mut lost = self.place.directory().to_owned();
        let mut error = error;
        loop {
            let directory = self.spool.move_on_from(&lost, error)?;
            match self.copy_to(&directory) {
                Ok(place) => {
                    self.enter(place);
                    return Ok(());
                }
                Err(failed) => (lost, error) = (directory, failed),
            }
        }
    }

    fn copy_to(&self, directory: &Path) -> io::Result<Place> {
        self.spool.spool_dirs.check_room(directory, self.written)?;
        let path = directory.join(format!("moved-{}", self.attempt));
        let place = Place::create(path)?;
        let end = self.place.offset + self.written;
        let copied = copy_by_hand(&self.place.file, self.place.offset..end, &mut &*place.file);
        if copied.is_err() {
            let _ = std::fs::remove_file(&place.path);
        }
        copied.map(|()| place)
    }

    /// Writes to `place` from now on.
    fn enter(&mut self, place: Place) {
        self.allowance = 0;
        let left = std::mem::replace(&mut self.place, place);
        if left.own {
            let _ = std::fs::remove_file(&left.path);
        }
        if let Some(writing) = self.spool.lock().writing.get_mut(&self.attempt) {
            writing.location = Location::Disk(self.place.clone());
        }
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes the part as arrived.
    pub fn finish(mut self, md5: [u8; 16]) {
        self.open = false;
        self.spool.finish(self.attempt, self.written, md5, Location::Disk(self.place.clone()));
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mut state = self.spool.lock();
        let Some(writing) = state.writing.remove(&self.attempt) else { return };
        let is_own = self.place.own;
        let gives_up_space = is_own || (state.sealed.is_none() && !state.handed_over);
        drop(state);
        self.spool.changed.notify_all();
        let (spool, written) = (self.spool.clone(), self.written);
        in_background(move || {
            if gives_up_space {
                writing.location.discard(written);
            }
            if !is_own {
                // Another attempt may be written there only now.
                spool.lock().placed.retain(|part| *part != writing.part);
            }
        });
    }
}

/// Runs what blocks for a moment off the async threads.
pub(super) fn in_background(work: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}
