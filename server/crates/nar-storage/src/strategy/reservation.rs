//! Reservations of space for files that are being stored.

use std::sync::Arc;

use super::Placement;

/// Reserved space for one file on one storage. Dropping it releases the space and, with round-robin, the turn.
#[derive(Debug)]
#[must_use = "dropping a reservation releases the space"]
pub struct Reservation {
    placement: Placement,
    slot: usize,
    storage: Arc<str>,
    size: u64,
    stored: bool,
}

impl Reservation {
    pub(super) fn new(placement: Placement, slot: usize, storage: Arc<str>, size: u64) -> Self {
        Self { placement, slot, storage, size, stored: false }
    }

    /// Returns the name of the storage.
    pub fn storage(&self) -> &Arc<str> {
        &self.storage
    }

    /// Returns the reserved bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Commits the reservation once the file is stored and in the catalog. Its bytes count as used from now on.
    pub fn commit(mut self) {
        self.stored = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.placement.finish(self.slot, self.size, self.stored);
    }
}
