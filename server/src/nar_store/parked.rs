//! A NAR that is stored but could not be recorded, as the catalog could not be written to.
//!
//! The client is asked to try again later, and what it sent must then still be here.

use std::sync::atomic::{AtomicBool, Ordering};

use nix_formats::NarFileName;
use parking_lot::Mutex;

use super::put::Stored;

/// Keeps what the last attempt to complete an upload has stored. When the upload ends without another attempt, the note
/// of the file stays, so that the file is found and removed.
#[derive(Default)]
pub struct Parked {
    stored: Mutex<Option<Stored>>,
    has_failed: AtomicBool,
}

impl Parked {
    /// Keeps a stored NAR for the next attempt.
    pub fn put(&self, stored: Stored) {
        let replaced = self.stored.lock().replace(stored);
        if let Some(replaced) = replaced {
            replaced.intent.keep();
        }
    }

    /// Whether a storage has failed to store the upload.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    pub(super) fn note_failure(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Takes the NAR of this name, if it is kept.
    pub fn take(&self, name: &NarFileName) -> Option<Stored> {
        let mut parked = self.stored.lock();
        parked.take_if(|stored| stored.name == *name)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some(stored) = self.stored.get_mut().take() {
            stored.intent.keep();
        }
    }
}
