//! The ledger of a placement.

use std::sync::Arc;

use super::choose::choose;
use super::slot::{File, Slot};
use super::{NoRoom, StorageState, Strategy, Turns};
use crate::Health;

/// The storages with their used and reserved bytes.
#[derive(Debug)]
pub(super) struct Ledger {
    strategy: Strategy,
    /// Every storage that was ever listed, because reservations may be open on one that no longer is. A position never changes its
    /// meaning.
    slots: Vec<Slot>,
    /// The positions of the storages in listed order.
    listed: Vec<usize>,
    /// The most that the storages may hold together, in bytes.
    max_total: Option<u64>,
}

impl Ledger {
    pub(super) fn new(strategy: Strategy, storages: Vec<StorageState>, turns: &Turns) -> Self {
        let mut ledger = Self { strategy, slots: Vec::new(), listed: Vec::new(), max_total: None };
        for storage in storages {
            let turns = turns.of(&storage.name);
            ledger.list(storage, turns);
        }
        ledger
    }

    /// Sets the most that the storages may hold together, in bytes.
    pub(super) fn set_max_total(&mut self, max_total: Option<u64>) {
        self.max_total = max_total;
    }

    /// Picks a storage for a file.
    pub(super) fn pick(&self, file: File<'_>, exclude: &[Arc<str>]) -> Result<usize, NoRoom> {
        if file.is_new
            && self.max_total.is_some_and(|max_total| self.total().saturating_add(file.room()) > max_total)
        {
            return Err(NoRoom::Limit);
        }
        let can_take = |slot: &Slot| slot.can_take(file) && !exclude.contains(&slot.state.name);
        let able = || self.listed().filter(|(_, slot)| can_take(slot));
        let nearest = able().map(|(_, slot)| file.distance(slot.state.tier)).min();
        let candidates: Vec<_> = able()
            .filter(|(_, slot)| Some(file.distance(slot.state.tier)) == nearest)
            .map(|(position, slot)| slot.candidate(position))
            .collect();
        choose(self.strategy, &candidates, file.room()).ok_or_else(|| self.why_none(file))
    }

    /// Picks a storage for a file and reserves space on it.
    pub(super) fn reserve(&mut self, file: File<'_>, exclude: &[Arc<str>]) -> Result<usize, NoRoom> {
        let chosen = self.pick(file, exclude)?;
        if self.strategy == Strategy::RoundRobin {
            self.pass_turns(chosen, exclude);
        }
        self.slots[chosen].reserve(file.size);
        Ok(chosen)
    }

    /// Ends a reservation, with the file stored or not.
    pub(super) fn finish(&mut self, slot: usize, size: u64, stored: bool) {
        self.slots[slot].finish(size, stored);
    }

    /// Replaces the strategy and the storages. Storages that stay listed keep their state.
    pub(super) fn reconfigure(&mut self, strategy: Strategy, storages: Vec<StorageState>) {
        // New storages join the round of the others of their tier.
        let rounds: Vec<(u8, u64)> = self.written().map(|slot| (slot.state.tier, slot.turns())).collect();
        let round_of = |tier: u8| {
            rounds.iter().filter(|(of, _)| *of == tier).map(|(_, turns)| *turns).min().unwrap_or(0)
        };
        let before = std::mem::take(&mut self.listed);
        for storage in storages {
            let round = round_of(storage.tier);
            match self.position(&storage.name).filter(|position| before.contains(position)) {
                Some(position) => {
                    let slot = &mut self.slots[position];
                    if slot.state.tier != storage.tier {
                        slot.lose_turns(round);
                    }
                    slot.reconfigure(storage);
                    self.listed.push(position);
                }
                None => self.list(storage, round),
            }
        }
        if self.strategy != strategy {
            // The turns were counted under another strategy.
            self.slots.iter_mut().for_each(Slot::forget_turns);
            self.strategy = strategy;
        }
    }

    /// Finds the storage of this name, if it is or was listed.
    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut Slot> {
        self.position(name).map(|position| &mut self.slots[position])
    }

    pub(super) fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Returns the storages with their positions in listed order.
    pub(super) fn listed(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.listed.iter().map(|&position| (position, &self.slots[position]))
    }

    pub(super) fn name(&self, slot: usize) -> &Arc<str> {
        &self.slots[slot].state.name
    }

    /// Returns the turns taken, including those of open reservations. Empty unless the strategy is round-robin.
    pub(super) fn turns(&self) -> Turns {
        match self.strategy {
            Strategy::RoundRobin => {
                self.listed().map(|(_, slot)| (slot.state.name.clone(), slot.turns())).collect()
            }
            Strategy::InOrder | Strategy::Split | Strategy::LeastUsed => Turns::default(),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| &*slot.state.name == name)
    }

    /// Adds a storage at the end of the list.
    fn list(&mut self, storage: StorageState, turns: u64) {
        let known = self.position(&storage.name);
        match known {
            Some(position) => self.slots[position].relist(storage, turns),
            None => self.slots.push(Slot::new(storage, turns)),
        }
        self.listed.push(known.unwrap_or(self.slots.len() - 1));
    }

    /// Returns what all storages hold, in bytes.
    fn total(&self) -> u64 {
        self.listed().fold(0, |total, (_, slot)| total.saturating_add(slot.counted()))
    }

    fn written(&self) -> impl Iterator<Item = &Slot> {
        self.listed().map(|(_, slot)| slot).filter(|slot| slot.is_written())
    }

    /// Removes the turns of storages of a tier that could not take them, now that it is the turn of `chosen`.
    fn pass_turns(&mut self, chosen: usize, exclude: &[Arc<str>]) {
        let (round, tier) = (self.slots[chosen].turns(), self.slots[chosen].state.tier);
        // Storages listed before it have finished this round, those after it the previous one.
        let mut done = round.saturating_add(1);
        for &position in &self.listed {
            if position == chosen {
                done = round;
                continue;
            }
            let slot = &mut self.slots[position];
            if slot.state.tier != tier {
                continue;
            }
            let excluded = exclude.contains(&slot.state.name);
            slot.lose_turns(if excluded { done.saturating_sub(1) } else { done });
        }
    }

    /// Returns why no storage can accept a file.
    fn why_none(&self, file: File<'_>) -> NoRoom {
        let may_have_room = |slot: &Slot| slot.health != Health::MediumFull && slot.has_room(file);
        if self.written().next().is_none() {
            NoRoom::NotWritten
        } else if self.written().any(may_have_room) {
            NoRoom::Failing
        } else {
            NoRoom::Full
        }
    }
}
