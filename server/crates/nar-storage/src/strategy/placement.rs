//! The public interface of the strategies.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::ledger::Ledger;
use super::slot::File;
use super::{NoRoom, Reservation, StorageSnapshot, StorageState, Strategy, Turns};
use crate::{Health, Usage};

/// Decides which storage receives each file of a cache. Clones share the same state.
///
/// [Reserve](Placement::reserve) space before storing a file, so that parallel uploads see each other, and
/// [commit](Reservation::commit) the reservation once the catalog has the file. Report removed bytes with
/// [`removed`](Placement::removed). Names that were never listed are ignored, because a report may arrive after a change of the
/// configuration.
#[derive(Debug, Clone)]
pub struct Placement {
    // Held for a few comparisons per storage, never across a wait.
    ledger: Arc<Mutex<Ledger>>,
}

impl Placement {
    /// Creates the placement of storages in listed order with unique names. `turns` is the result of [`Placement::turns`] before
    /// the restart. All storages count as working until reported otherwise.
    pub fn new(strategy: Strategy, storages: Vec<StorageState>, turns: &Turns) -> Self {
        Self { ledger: Arc::new(Mutex::new(Ledger::new(strategy, storages, turns))) }
    }

    /// Picks a storage for a file of `size` bytes, other than those in `exclude`, and reserves space on it.
    ///
    /// If storing the file fails, drop the reservation, report the [health](Placement::set_health) of the storage and reserve
    /// again with the storage in `exclude`.
    pub fn reserve(&self, size: u64, exclude: &[Arc<str>]) -> Result<Reservation, NoRoom> {
        self.reserve_for(File { size, spooled_on: None, is_new: false, tier: 0 }, exclude)
    }

    /// As [`Placement::reserve`], for a file that the cache does not have yet, which has to be within its
    /// [limit](Placement::set_max_total). It may be complete in the spool of the storage `spooled_on`. Storing it there takes no more
    /// space: the [free bytes](Placement::set_free) may be fewer than its size because of the spooled file itself.
    pub fn reserve_new(
        &self,
        size: u64,
        spooled_on: Option<&str>,
        exclude: &[Arc<str>],
    ) -> Result<Reservation, NoRoom> {
        self.reserve_for(File { size, spooled_on, is_new: true, tier: 0 }, exclude)
    }

    /// As [`Placement::reserve`], for a further copy of a file, or one that moves, which should go to a storage of `tier`; else of a slower
    /// tier, or of a faster one at last. If it `is_new`, it counts against the [limit](Placement::set_max_total) as well.
    pub fn reserve_on_tier(
        &self,
        size: u64,
        tier: u8,
        is_new: bool,
        exclude: &[Arc<str>],
    ) -> Result<Reservation, NoRoom> {
        self.reserve_for(File { size, spooled_on: None, is_new, tier }, exclude)
    }

    /// Sets the most that all storages may hold together, in bytes. Files that move between them do not count twice for it.
    pub fn set_max_total(&self, max_total: Option<u64>) {
        self.lock().set_max_total(max_total);
    }

    /// Returns the storage that a file would get now, without a reservation. An unknown size counts as one byte. Use it to choose
    /// the spool for a file, and to refuse a file before receiving it.
    pub fn propose(&self, size: Option<u64>) -> Result<Arc<str>, NoRoom> {
        let ledger = self.lock();
        let slot =
            ledger.pick(File { size: size.unwrap_or(0), spooled_on: None, is_new: true, tier: 0 }, &[])?;
        Ok(ledger.name(slot).clone())
    }

    /// Reports the health of a storage.
    pub fn set_health(&self, storage: &str, health: Health) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.health = health;
        }
    }

    /// Reports the free bytes on the medium of a storage, `None` if unknown, which is the initial state. Call it after every probe
    /// with the result of [`usage`](crate::Storage::usage).
    ///
    /// Open reservations, and bytes stored since the report, are subtracted. Bytes that were already in the spool at the time of
    /// the report count twice, which errs on the safe side. Only a report increases the free bytes.
    pub fn set_free(&self, storage: &str, free: Option<u64>) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.free = free;
        }
    }

    /// As [`Placement::set_free`], but with the space of the medium, of which 5 % stay free.
    pub fn set_usage(&self, storage: &str, usage: Usage) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.free = usage.free;
            slot.kept_free = usage.kept_free();
        }
    }

    /// Reports that `bytes` were removed from a storage.
    pub fn removed(&self, storage: &str, bytes: u64) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.state.used = slot.state.used.saturating_sub(bytes);
        }
    }

    /// Replaces the used bytes of a storage by a new count, as after a repair of the catalog or when another daemon writes to it as
    /// well. Reservations stay.
    pub fn set_used(&self, storage: &str, used: u64) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.state.used = used;
        }
    }

    /// Reports that the by-products on a storage have grown, or shrunk, by so many bytes.
    pub fn by_products_changed(&self, storage: &str, bytes: i64) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.state.by_products = slot.state.by_products.saturating_add_signed(bytes);
        }
    }

    /// Replaces the bytes of the by-products of a storage by a new count.
    pub fn set_by_products(&self, storage: &str, bytes: u64) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.state.by_products = bytes;
        }
    }

    /// Applies a changed configuration. A storage that is already listed keeps its used and free bytes and its health, whatever
    /// `storages` says; others start with the given state. Reservations stay valid, even on storages that are no longer listed.
    pub fn reconfigure(&self, strategy: Strategy, storages: Vec<StorageState>) {
        self.lock().reconfigure(strategy, storages);
    }

    /// Returns the state that round-robin needs to continue after a restart. Other strategies need only the used bytes.
    ///
    /// Open reservations count as turns taken, so that state saved together with a file includes the turn of that file. The turns
    /// of uploads that a crash interrupted are lost.
    pub fn turns(&self) -> Turns {
        self.lock().turns()
    }

    /// Returns the state of the storages in listed order.
    pub fn snapshot(&self) -> Vec<StorageSnapshot> {
        StorageSnapshot::of_all(&self.lock())
    }

    fn reserve_for(&self, file: File<'_>, exclude: &[Arc<str>]) -> Result<Reservation, NoRoom> {
        let mut ledger = self.lock();
        let slot = ledger.reserve(file, exclude)?;
        let storage = ledger.name(slot).clone();
        drop(ledger);
        Ok(Reservation::new(self.clone(), slot, storage, file.size))
    }

    /// Ends a reservation, with the file stored or not.
    pub(super) fn finish(&self, slot: usize, size: u64, stored: bool) {
        self.lock().finish(slot, size, stored);
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }
}
