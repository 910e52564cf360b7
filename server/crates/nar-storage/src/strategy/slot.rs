//! One storage in the books.

use super::StorageState;
use super::choose::Candidate;
use crate::Health;

/// What a ledger knows of one storage.
#[derive(Debug)]
pub(super) struct Slot {
    /// As it was told, with the used bytes kept up to date.
    pub(super) state: StorageState,
    pub(super) health: Health,
    /// Bytes of the open reservations.
    pub(super) reserved: u64,
    /// Number of open reservations.
    pub(super) reservations: u64,
    /// Turns that ended with a stored file, or were lost.
    turns: u64,
}

impl Slot {
    pub(super) fn new(state: StorageState, turns: u64) -> Self {
        Self { state, health: Health::default(), reserved: 0, reservations: 0, turns }
    }

    /// Bytes that it has or is about to get.
    pub(super) fn load(&self) -> u64 {
        self.state.used.saturating_add(self.reserved)
    }

    /// Takes a changed configuration over.
    pub(super) fn reconfigure(&mut self, state: StorageState) {
        self.state = StorageState { used: self.state.used, ..state };
    }

    /// Begins anew, but for the reservations that are still open from when it was listed before.
    pub(super) fn relist(&mut self, state: StorageState, turns: u64) {
        self.state = state;
        self.health = Health::default();
        self.lose_turns(turns);
    }

    /// Whether it is written to at all.
    pub(super) fn is_written(&self) -> bool {
        !self.state.draining
    }

    /// Whether `max_size` leaves room for a file of `size` bytes.
    pub(super) fn has_room(&self, size: u64) -> bool {
        self.state.max_size.is_none_or(|max_size| self.load().saturating_add(size) <= max_size)
    }

    /// Whether it can take a file of `size` bytes.
    pub(super) fn can_take(&self, size: u64) -> bool {
        self.is_written() && self.health == Health::Working && self.has_room(size)
    }

    pub(super) fn candidate(&self, slot: usize) -> Candidate {
        Candidate { slot, load: self.load(), share: self.state.share, turns: self.turns() }
    }

    pub(super) fn reserve(&mut self, size: u64) {
        self.reserved = self.reserved.saturating_add(size);
        self.reservations += 1;
    }

    /// Ends a reservation, with the file stored or not.
    pub(super) fn settle(&mut self, size: u64, stored: bool) {
        self.reserved = self.reserved.saturating_sub(size);
        self.reservations = self.reservations.saturating_sub(1);
        if stored {
            self.state.used = self.state.used.saturating_add(size);
            self.turns = self.turns.saturating_add(1);
        }
    }

    /// Turns that it had or is about to have.
    pub(super) fn turns(&self) -> u64 {
        self.turns.saturating_add(self.reservations)
    }

    /// Takes away the turns that it is behind `floor`.
    pub(super) fn lose_turns(&mut self, floor: u64) {
        self.turns = self.turns.max(floor.saturating_sub(self.reservations));
    }

    pub(super) fn forget_turns(&mut self) {
        self.turns = 0;
    }
}
