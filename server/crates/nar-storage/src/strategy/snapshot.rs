//! What the books say, for people.

use std::sync::Arc;

use super::Strategy;
use super::ledger::Ledger;
use super::slot::{File, Slot};
use crate::Health;

/// What a [`Placement`](super::Placement) knows of one storage at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageSnapshot {
    /// Name from the configuration.
    pub name: Arc<str>,
    /// What was last reported of it.
    pub health: Health,
    /// Still read, no longer written.
    pub draining: bool,
    /// Its medium has no room, or its load has reached `max_size`: it takes nothing more.
    pub full: bool,
    /// Load in bytes that it must not exceed.
    pub max_size: Option<u64>,
    /// Bytes that are free on its medium, as far as known: as last reported, less what was stored since.
    pub free: Option<u64>,
    /// Bytes that the cache has on it.
    pub used: u64,
    /// Bytes of files on their way to it.
    pub reserved: u64,
    /// Number of files on their way to it.
    pub reservations: u64,
    /// Part of the cache's bytes, from 0 to 1, that it should have: its percentage of those of all storages that are
    /// not draining, none for one that is. Only [`Strategy::Split`] wants shares.
    pub share_wanted: Option<f64>,
    /// Part of the cache's bytes, from 0 to 1, that is on it. 0 while the cache is empty.
    pub share_actual: f64,
}

/// What takes next to no room.
const LEAST: File<'static> = File { size: 1, spooled_on: None };

impl StorageSnapshot {
    pub(super) fn of_all(ledger: &Ledger) -> Vec<Self> {
        let shares: u32 = ledger.listed().map(|(_, slot)| written_share(slot)).sum();
        let used: u128 = ledger.listed().map(|(_, slot)| u128::from(slot.state.used)).sum();
        let splits = ledger.strategy() == Strategy::Split;
        let snapshot = |slot: &Slot| Self {
            name: slot.state.name.clone(),
            health: slot.health,
            draining: slot.state.draining,
            full: slot.health == Health::MediumFull || !slot.has_room(LEAST),
            max_size: slot.state.max_size,
            free: slot.free,
            used: slot.state.used,
            reserved: slot.reserved,
            reservations: slot.reservations,
            share_wanted: splits.then(|| part(f64::from(written_share(slot)), f64::from(shares))),
            share_actual: part(slot.state.used as f64, used as f64),
        };
        ledger.listed().map(|(_, slot)| snapshot(slot)).collect()
    }
}

fn written_share(slot: &Slot) -> u32 {
    if slot.is_written() { u32::from(slot.state.share) } else { 0 }
}

fn part(of: f64, all: f64) -> f64 {
    if all > 0.0 { of / all } else { 0.0 }
}
