//! Hashing a reader that is given away meanwhile.

use std::io::{self, Read};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::hashing::Hashing;

/// A reader that is looked at again after it was given away.
pub(super) struct Shared<R>(Arc<Mutex<Hashing<R>>>);

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Read> Shared<R> {
    pub(super) fn new(reader: Hashing<R>) -> Self {
        Self(Arc::new(Mutex::new(reader)))
    }

    /// Reads what is left, and returns SHA-256 of everything.
    pub(super) fn finish(mut self) -> io::Result<[u8; 32]> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.0.lock().hash())
    }
}

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().read(buffer)
    }
}
