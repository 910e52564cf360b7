//! One storage in the books.

use super::StorageState;
use super::choose::Candidate;
use crate::Health;

/// A file that looks for a storage.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    /// Its size in bytes.
    pub(super) size: u64,
    /// The storage in whose spool it is, if it is in any.
    pub(super) spooled_on: Option<&'a str>,
}

impl File<'_> {
    /// Bytes that a storage must have left for it. Not even an empty file goes to a storage that has reached its
    /// maximum, or that has no share.
    pub(super) fn room(&self) -> u64 {
        self.size.max(1)
    }
}

/// What a ledger knows of one storage.
#[derive(Debug)]
pub(super) struct Slot {
    /// As it was told, with the used bytes kept up to date.
    pub(super) state: StorageState,
    pub(super) health: Health,
    /// Bytes that are free on its medium, as far as known: as last reported, less what was stored since.
    pub(super) free: Option<u64>,
    /// Bytes of its medium that must stay free.
    pub(super) kept_free: u64,
    /// Bytes of the open reservations.
    pub(super) reserved: u64,
    /// Number of open reservations.
    pub(super) reservations: u64,
    /// Turns that ended with a stored file, or were lost.
    turns: u64,
}

impl Slot {
    pub(super) fn new(state: StorageState, turns: u64) -> Self {
        Self {
            state,
            health: Health::default(),
            free: None,
            kept_free: 0,
            reserved: 0,
            reservations: 0,
            turns,
        }
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
        self.free = None;
        self.kept_free = 0;
        self.lose_turns(turns);
    }

    /// Whether it is written to at all.
    pub(super) fn is_written(&self) -> bool {
        !self.state.draining
    }

    /// Whether there is room for a file.
    pub(super) fn has_room(&self, file: File<'_>) -> bool {
        // A file in its spool takes nothing more of the medium when it is stored.
        let is_there = file.spooled_on == Some(&*self.state.name);
        let fits = |room: u64, taken: u64| taken.saturating_add(file.room()) <= room;
        self.state.max_size.is_none_or(|max_size| fits(max_size, self.load()))
            && self
                .free
                .is_none_or(|free| is_there || fits(free.saturating_sub(self.kept_free), self.reserved))
    }

    /// Whether it can take a file.
    pub(super) fn can_take(&self, file: File<'_>) -> bool {
        self.is_written() && self.health == Health::Working && self.has_room(file)
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
            self.free = self.free.map(|free| free.saturating_sub(size));
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
