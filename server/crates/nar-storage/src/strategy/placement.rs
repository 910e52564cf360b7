//! The strategies' face to the rest of the daemon.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::Ledger;
use super::slot::File;
use super::{NoRoom, Reservation, StorageSnapshot, StorageState, Strategy, Turns};
use crate::{Health, Usage};

/// Decides for the files of one cache which storage they go to. Clones are handles to the same books.
///
/// The room for a file is [reserved](Placement::reserve) before the file is stored, so that parallel uploads see each
/// other, and the reservation is [committed](Reservation::commit) once the catalog has the file. What goes from a
/// storage is told by [`removed`](Placement::removed). Names that were never listed are ignored: what is reported of a
/// storage may arrive after a change of the configuration.
#[derive(Debug, Clone)]
pub struct Placement {
    // Held for a few comparisons per storage, never across anything that waits.
    ledger: Arc<Mutex<Ledger>>,
}

impl Placement {
    /// Storages in listed order, whose names are unique, with what the catalog knows of them. `turns` is what
    /// [`Placement::turns`] returned before the restart. All storages count as working until told otherwise.
    #[must_use]
    pub fn new(strategy: Strategy, storages: Vec<StorageState>, turns: &Turns) -> Self {
        Self { ledger: Arc::new(Mutex::new(Ledger::new(strategy, storages, turns))) }
    }

    /// Picks a storage for a file of `size` bytes that is none of `exclude`, and reserves the room on it.
    ///
    /// When storing the file fails, drop the reservation, report the storage's [health](Placement::set_health) and
    /// reserve again with the storage among `exclude`.
    pub fn reserve(&self, size: u64, exclude: &[Arc<str>]) -> Result<Reservation, NoRoom> {
        self.reserve_for(File { size, spooled_on: None }, exclude)
    }

    /// The same for a file that is whole in the spool of the storage `spooled_on`, where it takes no more of the medium
    /// when it is stored: that it is there may be why the [free bytes](Placement::set_free) are fewer than its own.
    pub fn reserve_spooled(
        &self,
        size: u64,
        spooled_on: &str,
        exclude: &[Arc<str>],
    ) -> Result<Reservation, NoRoom> {
        self.reserve_for(File { size, spooled_on: Some(spooled_on) }, exclude)
    }

    /// The storage that a file would go to now, of an unknown size if there is none, which counts as one byte. Reserves
    /// nothing: it is for choosing where to spool a file, and for refusing one before a byte of it is taken.
    pub fn propose(&self, size: Option<u64>) -> Result<Arc<str>, NoRoom> {
        let ledger = self.lock();
        let slot = ledger.pick(File { size: size.unwrap_or(0), spooled_on: None }, &[])?;
        Ok(ledger.name(slot).clone())
    }

    /// Reports whether a storage can be written to.
    pub fn set_health(&self, storage: &str, health: Health) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.health = health;
        }
    }

    /// Reports how many bytes are free on the medium of a storage, or that this is not known, which is how it begins.
    /// For every probe, with what [`usage`](crate::Storage::usage) says.
    ///
    /// Open reservations and, until the next report, what was stored count as taken from it. What the report has seen
    /// in the spool already is counted twice: rather too few bytes than too many. Nothing but a report adds to it.
    pub fn set_free(&self, storage: &str, free: Option<u64>) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.free = free;
        }
    }

    /// Reports the space on the medium of a storage, of which 5 % stay free. As [`Placement::set_free`] otherwise.
    pub fn set_usage(&self, storage: &str, usage: Usage) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.free = usage.free;
            slot.kept_free = usage.kept_free();
        }
    }

    /// Reports that `bytes` went from a storage.
    pub fn removed(&self, storage: &str, bytes: u64) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.state.used = slot.state.used.saturating_sub(bytes);
        }
    }

    /// Replaces the used bytes of a storage by what was counted, such as after a repair of the catalog or when another
    /// daemon writes to it as well. What is reserved stays reserved.
    pub fn set_used(&self, storage: &str, used: u64) {
        if let Some(slot) = self.lock().find_mut(storage) {
            slot.state.used = used;
        }
    }

    /// Takes a changed configuration over. A storage that was listed until now keeps its used and free bytes and its
    /// health, whatever `storages` says; the others begin with what is given. Reservations stay valid, also on a
    /// storage that is no longer listed.
    pub fn reconfigure(&self, strategy: Strategy, storages: Vec<StorageState>) {
        self.lock().reconfigure(strategy, storages);
    }

    /// The state that round-robin needs to go on after a restart as if there had been none. Goes with the used bytes;
    /// other strategies need nothing else.
    ///
    /// Open reservations are turns taken, so that what is kept in the same step as a file has the turn of that file. Of
    /// uploads that a crash ended, the turns are lost.
    #[must_use]
    pub fn turns(&self) -> Turns {
        self.lock().turns()
    }

    /// What is known of the storages now, in listed order.
    #[must_use]
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
    pub(super) fn settle(&self, slot: usize, size: u64, stored: bool) {
        self.lock().settle(slot, size, stored);
    }

    /// Locks, whatever became of the last holder: the books are whole at every step.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
