//! Which NARs are read how often, and so belong on a faster tier.
//!
//! A file that is read from a slow tier is copied to a fast one while that has room to spare. Without, it displaces only files that were not
//! used since it was read before: a file that is read once displaces nothing, so a scan of everything leaves alone what is read
//! again and again, and files that together exceed the room do not displace each other in turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog::{StorageId, UnixTime};
use nix_formats::FileHash;
use parking_lot::Mutex;

use super::Cache;
use super::nars::KnownNar;
use super::storages::{CacheStorage, Storages};
use crate::config::CacheConfig;

/// Most files whose last read is remembered for one cache. Each takes about 80 bytes.
const CAPACITY: usize = 65_536;
/// Most files that wait for their promotion. Others are noted when they are read again.
const MOST_WAITING: usize = 1024;

/// A file that was read from a slow tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The file.
    pub file: FileHash,
    /// When it was read before that, as far as is remembered.
    pub read_before: Option<UnixTime>,
}

/// What is known of the reads of a cache with several tiers.
pub struct Tiers {
    is_active: AtomicBool,
    reads: quick_cache::sync::Cache<FileHash, UnixTime>,
    waiting: Mutex<VecDeque<Promotion>>,
}

impl Tiers {
    /// The memory of a cache with this configuration.
    pub fn new(config: &CacheConfig) -> Self {
        Self {
            is_active: AtomicBool::new(are_used(config)),
            reads: quick_cache::sync::Cache::new(CAPACITY),
            waiting: Mutex::default(),
        }
    }

    /// Takes over a changed configuration.
    pub fn set_config(&self, config: &CacheConfig) {
        self.is_active.store(are_used(config), Ordering::Relaxed);
    }

    /// Whether files move between tiers.
    pub fn are_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }

    /// When a file was last read, as far as is remembered.
    pub fn last_read(&self, file: &FileHash) -> Option<UnixTime> {
        self.reads.get(file)
    }

    /// Takes at most `most` of the files that wait for their promotion.
    pub fn take_waiting(&self, most: usize) -> Vec<Promotion> {
        let mut waiting = self.waiting.lock();
        let taken = most.min(waiting.len());
        waiting.drain(..taken).collect()
    }

    /// Notes a read. Returns whether the file is to be promoted and does not wait for that yet.
    fn note(&self, file: FileHash, is_slow: bool, now: UnixTime) -> bool {
        let read_before = self.reads.get(&file);
        self.reads.insert(file, now);
        if !is_slow {
            return false;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST_WAITING || waiting.iter().any(|other| other.file == file) {
            return false;
        }
        waiting.push_back(Promotion { file, read_before });
        true
    }
}

/// Whether files of a cache with this configuration move between tiers.
pub fn are_used(config: &CacheConfig) -> bool {
    let slowest = config.storages.iter().map(|storage| storage.tier).max();
    config
        .storages
        .iter()
        .any(|storage| Some(storage.tier) < slowest && (storage.demote_after.is_some() || storage.promote))
}

impl Storages {
    /// The storages to which a file comes that is read from `places`: those with `promote` that are faster than all of these, the
    /// fastest ones first.
    pub fn promoting(&self, places: &[StorageId]) -> Vec<Arc<CacheStorage>> {
        let tiers = places.iter().filter_map(|place| self.get(*place)).map(|storage| storage.config().tier);
        let Some(fastest) = tiers.min() else { return Vec::new() };
        let takes = |storage: &&Arc<CacheStorage>| {
            let config = storage.config();
            config.promote && !config.draining && config.tier < fastest
        };
        let mut found: Vec<Arc<CacheStorage>> = self.iter().filter(takes).cloned().collect();
        found.sort_by_key(|storage| storage.config().tier);
        found
    }

    /// The storages of slower tiers than `tier`.
    pub fn slower_than(&self, tier: u8) -> Vec<Arc<CacheStorage>> {
        self.iter().filter(|storage| storage.config().tier > tier).cloned().collect()
    }

    /// How much room there is on a storage, if that is limited.
    pub fn room_on(&self, storage: &CacheStorage) -> Option<Room> {
        let snapshots = self.snapshot();
        let known = snapshots.iter().find(|known| &*known.name == storage.name())?;
        let load = known.used.saturating_add(known.by_products).saturating_add(known.reserved);
        let kept_free = storage.condition().usage.kept_free();
        let on_medium = known.free.map(|free| free.saturating_sub(kept_free).saturating_sub(known.reserved));
        let limited = known.max_size.map(|most| most.saturating_sub(load));
        let left = limited.into_iter().chain(on_medium).min()?;
        Some(Room { left, of: load.saturating_add(left) })
    }
}

/// The room on a storage, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What can still be stored.
    pub left: u64,
    /// What can be stored in all.
    pub of: u64,
}

impl Room {
    /// Returns the room that promotions leave to pushes: a tenth.
    fn reserve(self) -> u64 {
        self.of / 10
    }

    /// Returns whether a file of `size` bytes may be copied there for readers.
    pub fn takes(self, size: u64) -> bool {
        self.left >= self.reserve().saturating_add(size)
    }

    /// Returns whether files have to be demoted early, as pushes have taken some of what is left to them.
    pub fn is_short(self) -> bool {
        self.left < self.reserve()
    }

    /// Returns the bytes that are then to be demoted: until 15 % are left.
    pub fn lacking(self) -> u64 {
        (self.of / 20 * 3).saturating_sub(self.left)
    }
}

impl Cache {
    /// Notes that a client reads a NAR from its beginning. Returns whether it is to be promoted.
    pub fn note_nar_read(&self, file: &FileHash, nar: &KnownNar) -> bool {
        self.tiers.are_active() && self.tiers.note(*file, nar.can_be_promoted, UnixTime::now())
    }

    /// Whether a NAR on these storages is copied to a faster one when it is read.
    pub(super) fn can_be_promoted(&self, places: &[StorageId]) -> bool {
        self.tiers.are_active() && !self.storages().promoting(places).is_empty()
    }

    /// Whether a fast storage has to give up files before their time.
    pub fn is_crowded_tier(&self) -> bool {
        if !self.tiers.are_active() {
            return false;
        }
        let storages = self.storages();
        let slowest = storages.slowest_tier();
        let is_crowded = |storage: &Arc<CacheStorage>| {
            let config = storage.config();
            config.tier < slowest
                && config.moves_files()
                && storages.room_on(storage).is_some_and(Room::is_short)
        };
        storages.iter().any(is_crowded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u8) -> FileHash {
        FileHash::from_bytes([number; 32])
    }

    #[test]
    fn a_file_waits_once_and_is_known_to_have_been_read_before() {
        let tiers = Tiers::new(&CacheConfig::default());
        assert!(tiers.note(file(1), true, UnixTime(10)));
        assert!(!tiers.note(file(1), true, UnixTime(11)), "it waits already");
        assert!(!tiers.note(file(2), false, UnixTime(12)), "it is on the fast tier");
        assert_eq!(tiers.take_waiting(5), [Promotion { file: file(1), read_before: None }]);
        assert!(tiers.note(file(1), true, UnixTime(13)));
        let expected = Promotion { file: file(1), read_before: Some(UnixTime(11)) };
        assert_eq!(tiers.take_waiting(5), [expected]);
        assert_eq!(tiers.last_read(&file(2)), Some(UnixTime(12)));
    }

    #[test]
    fn no_more_files_wait_than_there_is_room_for() {
        let tiers = Tiers::new(&CacheConfig::default());
        let file = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            FileHash::from_bytes(bytes)
        };
        let noted = (0..2000).filter(|number| tiers.note(file(*number), true, UnixTime(1))).count();
        assert_eq!(noted, MOST_WAITING);
    }

    #[test]
    fn a_tenth_is_left_to_pushes_and_what_they_take_of_it_is_freed() {
        let room = |left| Room { left, of: 1000 };
        assert!(room(150).takes(50) && !room(150).takes(51));
        assert!(!room(100).is_short() && room(99).is_short());
        assert_eq!([room(160), room(99), room(0)].map(Room::lacking), [0, 51, 150]);
    }
}
