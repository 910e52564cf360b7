//! Room for a file that is on its way to a storage.

use std::sync::Arc;

use super::Placement;

/// Room for one file on one storage. Dropping it gives the room back, and with round-robin the turn.
#[derive(Debug)]
#[must_use = "dropping a reservation gives the room back"]
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

    /// Name of the storage that was picked.
    #[must_use]
    pub fn storage(&self) -> &Arc<str> {
        &self.storage
    }

    /// Bytes that are reserved.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file is stored and the catalog has it: its bytes count as used from now on.
    pub fn commit(mut self) {
        self.stored = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.placement.settle(self.slot, self.size, self.stored);
    }
}
