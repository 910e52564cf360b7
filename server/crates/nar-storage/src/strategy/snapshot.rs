//! The state of a placement for operators.

use std::sync::Arc;

use super::Strategy;
use super::ledger::Ledger;
use super::slot::{File, Slot};
use crate::Health;

/// The state of one storage in a [`Placement`](super::Placement).
#[derive(Debug, Clone, PartialEq)]
pub struct StorageSnapshot {
    /// The name from the configuration.
    pub name: Arc<str>,
    /// The tier: 0 for the fastest storages.
    pub tier: u8,
    /// The health that was last reported.
    pub health: Health,
    /// Whether the storage is read but no longer written.
    pub draining: bool,
    /// Whether its medium is full or its load has reached `max_size`.
    pub full: bool,
    /// The highest load in bytes.
    pub max_size: Option<u64>,
    /// The free bytes on its medium, if known: as last reported, minus the bytes stored since.
    pub free: Option<u64>,
    /// The bytes that the cache has on it.
    pub used: u64,
    /// The bytes of other objects on it.
    pub by_products: u64,
    /// The bytes of files that are being stored on it.
    pub reserved: u64,
    /// The number of files that are being stored on it.
    pub reservations: u64,
    /// The intended part of the bytes of its tier, from 0 to 1: its percentage of those of all storages there that are not draining.
    /// Only [`Strategy::Split`] has shares.
    pub share_wanted: Option<f64>,
    /// The actual part of the bytes of its tier, from 0 to 1. 0 while that is empty.
    pub share_actual: f64,
}

/// The smallest file.
const LEAST: File<'static> = File { size: 1, spooled_on: None, is_new: false, tier: 0 };

impl StorageSnapshot {
    pub(super) fn of_all(ledger: &Ledger) -> Vec<Self> {
        let of_tier =
            |tier: u8| ledger.listed().map(|(_, slot)| slot).filter(move |slot| slot.state.tier == tier);
        let shares = |tier: u8| of_tier(tier).map(written_share).sum::<u32>();
        let used = |tier: u8| of_tier(tier).map(|slot| u128::from(slot.state.used)).sum::<u128>();
        let splits = ledger.strategy() == Strategy::Split;
        let snapshot = |slot: &Slot| Self {
            name: slot.state.name.clone(),
            tier: slot.state.tier,
            health: slot.health,
            draining: slot.state.draining,
            full: slot.health == Health::MediumFull || !slot.has_room(LEAST),
            max_size: slot.state.max_size,
            free: slot.free,
            used: slot.state.used,
            by_products: slot.state.by_products,
            reserved: slot.reserved,
            reservations: slot.reservations,
            share_wanted: splits
                .then(|| part(f64::from(written_share(slot)), f64::from(shares(slot.state.tier)))),
            share_actual: part(slot.state.used as f64, used(slot.state.tier) as f64),
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
