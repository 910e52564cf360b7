//! The storages of a cache at run time: which of them takes a file, and whether what they hold can be had.
//!
//! | file | what |
//! |---|---|
//! | `storage.rs` | one storage: its health, and what its errors and probes do to that |
//! | `liveness.rs` | whether a storage can be read from, for the hot path |
//! | `open.rs` | backends from the configuration |
//! | `note.rs` | the note on a storage of how far the catalog has come |
//! | `removed.rs` | storages of caches that are not served any more |
//! | `check.rs` | whether the services that a configuration names would do |
//! | `small.rs` | small files that may lie on any storage |

mod check;
mod liveness;
mod note;
mod open;
mod removed;
mod small;
mod storage;

use std::io;
use std::path::Path;
use std::sync::Arc;

use catalog::StorageId;
use nar_storage::{Health, NoRoom, Placement, Reservation, StorageError, StorageSnapshot, StorageState};

pub use self::check::check_buckets;
pub use self::liveness::Liveness;
pub use self::note::{NoteError, Standing, advance, noted_catalog};
pub use self::open::{Backend, OpenStorageError, Place, check_secrets, location, open};
pub use self::removed::RemovedStorage;
pub use self::storage::{CacheStorage, FaultScope, any_answers};

use super::PushError;
use crate::config::{CacheConfig, Strategy};

/// The storages of one cache, in the order of the configuration.
pub struct Storages {
    list: Vec<Arc<CacheStorage>>,
    placement: Placement,
    strategy: Strategy,
    /// The most that they may hold together, in bytes.
    max_size: Option<u64>,
}

impl Storages {
    /// The storages `list` of a cache, among which `placement` chooses.
    pub fn new(config: &CacheConfig, placement: Placement, list: Vec<Arc<CacheStorage>>) -> Self {
        Self { list, placement, strategy: config.storage_strategy, max_size: config.max_size }
    }

    /// Chooses among them, whatever was chosen among before. Open reservations stay valid.
    pub fn take_effect(&self, states: Vec<StorageState>) {
        self.placement.reconfigure(self.strategy.into(), states);
        self.placement.set_max_total(self.max_size);
        // What was found out about a storage before it was listed.
        self.list.iter().for_each(|storage| storage.update_placement());
    }

    /// What chooses among them.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CacheStorage>> {
        self.list.iter()
    }

    /// The storage with this row, unless it was taken out of the configuration.
    pub fn get(&self, id: StorageId) -> Option<&Arc<CacheStorage>> {
        self.list.iter().find(|storage| storage.id == id)
    }

    /// The storage of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<CacheStorage>> {
        self.list.iter().find(|storage| storage.name() == name)
    }

    /// The storage that a file would go to now; its size in bytes is often not known yet. Fails where no storage could
    /// take it, so that it is refused before a byte of it is sent.
    pub fn propose(&self, size: Option<u64>) -> Result<Arc<CacheStorage>, PushError> {
        let name = self.placement.propose(size).map_err(refusal)?;
        self.chosen(&name)
    }

    /// The storage that was chosen. A reload a moment ago may have taken it away.
    fn chosen(&self, name: &str) -> Result<Arc<CacheStorage>, PushError> {
        self.find(name).cloned().ok_or(PushError::StorageFailing)
    }

    /// The room that was reserved, and the storage that it is on.
    fn reserved(
        &self,
        reserved: Result<Reservation, NoRoom>,
    ) -> Result<(Reservation, Arc<CacheStorage>), PushError> {
        let reservation = reserved.map_err(refusal)?;
        let storage = self.chosen(reservation.storage())?;
        Ok((reservation, storage))
    }

    /// Looks whether storages that were full a moment ago are still so. Before a file is refused, as room comes back
    /// without notice: when an upload that was too large has ended, or someone has tidied up.
    pub async fn look_for_room(&self) {
        for storage in &self.list {
            let health = storage.condition().health;
            if health == Health::MediumFull || (health == Health::Working && storage.has_medium()) {
                storage.probe_again().await;
            }
        }
    }

    /// Whether a storage could take a file of `size` bytes if `freed` bytes were removed from it, as far as is known.
    pub fn could_take(&self, storage: &CacheStorage, size: u64, freed: u64) -> bool {
        let snapshots = self.placement.snapshot();
        let Some(known) = snapshots.iter().find(|known| &*known.name == storage.name()) else { return false };
        let load = known.used + known.by_products + known.reserved;
        let load = load.saturating_sub(freed);
        let fits = |room: u64| load.saturating_add(size.max(1)) <= room;
        let has_space = |free: u64| free.saturating_add(freed) >= size;
        !known.draining && known.max_size.is_none_or(fits) && known.free.is_none_or(has_space)
    }

    /// As [`Storages::propose`], but none of those `tried`. For what is not a NAR on its way to its place: no room is
    /// reserved, and no turn taken.
    pub fn choose(&self, size: Option<u64>, tried: &[Arc<str>]) -> Result<Arc<CacheStorage>, PushError> {
        if tried.is_empty() {
            return self.propose(size);
        }
        let (reservation, storage) = self.reserve(size.unwrap_or(1), tried)?;
        drop(reservation);
        Ok(storage)
    }

    /// Picks the storage for a file of `size` bytes that is none of those `tried`, and reserves the room.
    pub fn reserve(
        &self,
        size: u64,
        tried: &[Arc<str>],
    ) -> Result<(Reservation, Arc<CacheStorage>), PushError> {
        self.reserved(self.placement.reserve(size, tried))
    }

    /// As [`Storages::reserve`], for a file that moves off a storage of `tier`: to the same tier if there is room, else to a slower one.
    pub fn reserve_near(
        &self,
        size: u64,
        tier: u8,
        tried: &[Arc<str>],
    ) -> Result<(Reservation, Arc<CacheStorage>), PushError> {
        self.reserved(self.placement.reserve_on_tier(size, tier, false, tried))
    }

    /// Reserves room for a file of `size` bytes on one of the storages that `takes` picks, on `tier` if there is one. A copy that `is_new`
    /// counts against the limit of the cache.
    pub fn reserve_among(
        &self,
        size: u64,
        tier: u8,
        is_new: bool,
        takes: impl Fn(&CacheStorage) -> bool,
    ) -> Result<(Reservation, Arc<CacheStorage>), PushError> {
        let others = self.list.iter().filter(|storage| !takes(storage));
        let others: Vec<Arc<str>> = others.map(|storage| storage.name().into()).collect();
        self.reserved(self.placement.reserve_on_tier(size, tier, is_new, &others))
    }

    /// The slowest tier that there is.
    pub fn slowest_tier(&self) -> u8 {
        self.list.iter().map(|storage| storage.config().tier).max().unwrap_or(0)
    }

    /// As [`Storages::reserve`], for one of `copies` copies of a file, of which others lie on the storages `taken`. The limit of the cache
    /// applies. The copy goes to the tier of the fastest of these, but to one of the `durable` storages as long as none of them is one.
    /// For that it waits unless it is needed beside such a copy.
    pub fn reserve_copy(
        &self,
        size: u64,
        copies: u32,
        durable: &[StorageId],
        taken: &[StorageId],
    ) -> Result<(Reservation, Arc<CacheStorage>), PushError> {
        let on = |storage: &&Arc<CacheStorage>| taken.contains(&storage.id);
        let tier = self.list.iter().filter(on).map(|storage| storage.config().tier).min().unwrap_or(0);
        let names = |excluded: &dyn Fn(&StorageId) -> bool| -> Vec<Arc<str>> {
            let excluded = self.list.iter().filter(|storage| excluded(&storage.id));
            excluded.map(|storage| storage.name().into()).collect()
        };
        let reserve = |excluded: &[Arc<str>]| self.placement.reserve_on_tier(size, tier, true, excluded);
        let lacks_durable = !durable.is_empty() && !taken.iter().any(|storage| durable.contains(storage));
        let others = names(&|storage| taken.contains(storage));
        let reserved = match lacks_durable {
            false => reserve(&others),
            true => {
                let first = reserve(&names(&|storage| !durable.contains(storage)));
                let is_needed_besides = taken.len() + 1 < copies as usize;
                if is_needed_besides { first.or_else(|_| reserve(&others)) } else { first }
            }
        };
        self.reserved(reserved)
    }

    /// As [`Storages::reserve`], for a new file, to which the limit of the cache applies. Where it lies already, if it is `spooled`, it takes
    /// no more room.
    pub fn reserve_new(
        &self,
        size: u64,
        spooled: Option<&Path>,
        tried: &[Arc<str>],
    ) -> Result<(Reservation, Arc<CacheStorage>), PushError> {
        let is_here = |storage: &&Arc<CacheStorage>| {
            spooled.is_some_and(|spooled| spooled.starts_with(storage.storage.spool_dir()))
        };
        let here = self.list.iter().find(is_here).map(|storage| storage.name());
        self.reserved(self.placement.reserve_new(size, here, tried))
    }

    /// Takes note that the disk below the file `spooled` failed, whichever storage that is the spool of.
    pub fn spool_failed(&self, spooled: &Path, error: &StorageError) {
        let owner = self.list.iter().find(|storage| spooled.starts_with(storage.storage.spool_dir()));
        if let (Some(owner), StorageError::Spool { cause, .. }) = (owner, error) {
            let cause = match cause.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::other(cause.to_string()),
            };
            owner.failed(&StorageError::from_spool(owner.name(), cause));
        }
    }

    /// Notes that `bytes` are no longer on a storage.
    pub fn removed(&self, id: StorageId, bytes: u64) {
        if let Some(storage) = self.get(id) {
            self.placement.removed(storage.name(), bytes);
        }
    }

    /// Corrects the used bytes of a storage by what was counted.
    pub fn set_used(&self, storage: &CacheStorage, bytes: u64) {
        self.placement.set_used(storage.name(), bytes);
    }

    /// What the strategy has to remember, if it is one that does.
    pub fn turns(&self) -> Option<String> {
        (self.strategy == Strategy::RoundRobin).then(|| self.placement.turns().to_string())
    }

    /// What the strategy knows of each storage.
    pub fn snapshot(&self) -> Vec<StorageSnapshot> {
        self.placement.snapshot()
    }

    /// Rows of the storages that cannot be read from. What they hold counts as absent for the moment.
    pub fn unreachable(&self) -> Vec<StorageId> {
        self.list.iter().filter(|storage| storage.liveness.is_lost()).map(|storage| storage.id).collect()
    }
}

fn refusal(reason: NoRoom) -> PushError {
    match reason {
        NoRoom::Full => PushError::Full,
        NoRoom::Limit => PushError::CacheFull,
        NoRoom::Failing => PushError::StorageFailing,
        NoRoom::NotWritten => PushError::Draining,
    }
}

impl From<Strategy> for nar_storage::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::RoundRobin => Self::RoundRobin,
            Strategy::InOrder => Self::InOrder,
            Strategy::Split => Self::Split,
            Strategy::LeastUsed => Self::LeastUsed,
        }
    }
}
