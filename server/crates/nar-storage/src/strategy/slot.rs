//! One storage in the ledger.

use super::StorageState;
use super::choose::Candidate;
use crate::Health;

/// A file that needs a storage.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    /// The size in bytes.
    pub(super) size: u64,
    /// The storage in whose spool the file is, if any.
    pub(super) spooled_on: Option<&'a str>,
    /// Whether the cache does not have it yet, so that it counts against the limit of the cache.
    pub(super) is_new: bool,
    /// The tier that it should go to.
    pub(super) tier: u8,
}

impl File<'_> {
    /// Returns how far a tier is from the one that the file should go to. Slower tiers come before faster ones, where room is scarcer.
    pub(super) fn distance(&self, tier: u8) -> (bool, u8) {
        (tier < self.tier, tier.abs_diff(self.tier))
    }

    /// Returns the bytes that a storage must have left for the file. Even an empty file needs one, so that none goes to a storage
    /// that is at its maximum.
    pub(super) fn room(&self) -> u64 {
        self.size.max(1)
    }
}

/// The state of one storage in the ledger.
#[derive(Debug)]
pub(super) struct Slot {
    /// The reported state, with the used bytes kept up to date.
    pub(super) state: StorageState,
    pub(super) health: Health,
    /// The free bytes on its medium, if known: as last reported, minus the bytes stored since.
    pub(super) free: Option<u64>,
    /// The bytes of its medium that must stay free.
    pub(super) kept_free: u64,
    /// The bytes of the open reservations.
    pub(super) reserved: u64,
    /// The number of open reservations.
    pub(super) reservations: u64,
    /// The turns that ended with a stored file or were lost.
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

    /// Returns the load in bytes.
    pub(super) fn load(&self) -> u64 {
        self.state.used.saturating_add(self.reserved)
    }

    /// Returns the load with the by-products, in bytes: what counts against limits.
    pub(super) fn counted(&self) -> u64 {
        self.load().saturating_add(self.state.by_products)
    }

    /// Applies a changed configuration.
    pub(super) fn reconfigure(&mut self, state: StorageState) {
        self.state = StorageState { used: self.state.used, by_products: self.state.by_products, ..state };
    }

    /// Resets the state, except for reservations that are still open from an earlier listing.
    pub(super) fn relist(&mut self, state: StorageState, turns: u64) {
        self.state = state;
        self.health = Health::default();
        self.free = None;
        self.kept_free = 0;
        self.lose_turns(turns);
    }

    /// Returns whether the storage is written to.
    pub(super) fn is_written(&self) -> bool {
        !self.state.draining
    }

    /// Returns whether there is room for a file.
    pub(super) fn has_room(&self, file: File<'_>) -> bool {
        // Storing a file from its own spool takes no more space of the medium.
        let is_there = file.spooled_on == Some(&*self.state.name);
        let fits = |room: u64, taken: u64| taken.saturating_add(file.room()) <= room;
        self.state.max_size.is_none_or(|max_size| fits(max_size, self.counted()))
            && self
                .free
                .is_none_or(|free| is_there || fits(free.saturating_sub(self.kept_free), self.reserved))
    }

    /// Returns whether the storage can accept a file.
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
    pub(super) fn finish(&mut self, size: u64, stored: bool) {
        self.reserved = self.reserved.saturating_sub(size);
        self.reservations = self.reservations.saturating_sub(1);
        if stored {
            self.state.used = self.state.used.saturating_add(size);
            self.free = self.free.map(|free| free.saturating_sub(size));
            self.turns = self.turns.saturating_add(1);
        }
    }

    /// Returns the turns taken, including open reservations.
    pub(super) fn turns(&self) -> u64 {
        self.turns.saturating_add(self.reservations)
    }

    /// Removes the turns that the storage is behind `floor`.
    pub(super) fn lose_turns(&mut self, floor: u64) {
        self.turns = self.turns.max(floor.saturating_sub(self.reservations));
    }

    pub(super) fn forget_turns(&mut self) {
        self.turns = 0;
    }
}
