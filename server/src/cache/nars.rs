//! NAR files that were asked for lately: where they are and how long, so that serving one takes no query.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use catalog::{NarId, StorageId};
use http::HeaderValue;
use nar_storage::Key;
use nix_formats::{Compression, FileHash};

/// Most files remembered for one cache. Each takes about 120 bytes.
const CAPACITY: usize = 65_536;

/// A NAR file of a cache.
#[derive(Debug)]
pub struct KnownNar {
    /// Its row in the catalog.
    pub id: NarId,
    /// The storage that is its home.
    pub storage: StorageId,
    /// Where else it lies, if it does.
    pub copies: Option<Box<Places>>,
    /// Whether it is copied to a faster tier when it is read.
    pub can_be_promoted: bool,
    /// How it is compressed, and so which name it has.
    pub compression: Compression,
    /// Its length in bytes.
    pub size: u64,
    /// Where it is in the storage.
    pub key: Key,
    /// Strong entity tag, quoted.
    pub etag: HeaderValue,
}

/// The storages of a NAR that lies on several, its home included.
#[derive(Debug)]
pub struct Places {
    /// The ones to read from first come first.
    storages: Vec<StorageId>,
    /// So many of these are as good as each other.
    equals: usize,
    /// How often they were asked for.
    turn: AtomicUsize,
}

impl Places {
    /// The `storages` in the order in which they are to be read from; the first `equals` of them take turns.
    pub fn new(storages: Vec<StorageId>, equals: usize) -> Self {
        let equals = equals.clamp(1, storages.len().max(1));
        Self { storages, equals, turn: AtomicUsize::new(0) }
    }

    /// The storages, the ones to read from first come first.
    pub fn all(&self) -> &[StorageId] {
        &self.storages
    }

    /// The storages, beginning with one of the best ones.
    fn in_turn(&self) -> impl Iterator<Item = StorageId> + '_ {
        let turn = if self.equals > 1 { spread(self.turn.fetch_add(1, Ordering::Relaxed)) } else { 0 };
        (0..self.storages.len()).map(move |number| match number {
            equal if equal < self.equals => self.storages[(turn.wrapping_add(equal)) % self.equals],
            other => self.storages[other],
        })
    }
}

/// A number that looks random: a reader that asks twice for each request must not get the same storage every time.
fn spread(turn: usize) -> usize {
    (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 24
}

impl KnownNar {
    /// The storages that have it, in the order in which they are to be tried. Readers are spread over them.
    pub fn places(&self) -> impl Iterator<Item = StorageId> + '_ {
        let only = self.copies.is_none().then_some(self.storage);
        only.into_iter().chain(self.copies.iter().flat_map(|copies| copies.in_turn()))
    }
}

/// A bounded memory of NAR files.
pub struct Nars {
    known: quick_cache::sync::Cache<FileHash, Arc<KnownNar>>,
    /// Counts what was forgotten, so that nothing looked up before that is remembered after it.
    forgotten: AtomicU64,
}

/// Proof that a file was looked up in a state not older than this.
#[derive(Clone, Copy)]
pub struct Generation(u64);

impl Default for Nars {
    fn default() -> Self {
        Self { known: quick_cache::sync::Cache::new(CAPACITY), forgotten: AtomicU64::new(0) }
    }
}

impl Nars {
    /// The file, if it is remembered.
    pub fn get(&self, hash: &FileHash) -> Option<Arc<KnownNar>> {
        self.known.get(hash)
    }

    /// Call before looking up a file that is to be remembered.
    pub fn generation(&self) -> Generation {
        Generation(self.forgotten.load(Ordering::SeqCst))
    }

    /// Remembers a file, unless something was forgotten since `generation`.
    pub fn remember(&self, hash: FileHash, nar: Arc<KnownNar>, generation: Generation) {
        self.known.insert(hash, nar);
        if self.forgotten.load(Ordering::SeqCst) != generation.0 {
            self.known.remove(&hash);
        }
    }

    /// Forgets a file whose catalog entry changed.
    pub fn forget(&self, hash: &FileHash) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.remove(hash);
    }

    /// Forgets all files.
    pub fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_spread_over_equal_storages_and_the_others_come_last() {
        let places = Places::new([1, 2, 3].map(StorageId).to_vec(), 2);
        for step in 1..4 {
            let mut first = [0; 2];
            for _ in 0..1000 {
                let tried: Vec<i64> = places.in_turn().map(|id| id.0).collect();
                assert!(tried == [1, 2, 3] || tried == [2, 1, 3], "{tried:?}");
                first[usize::from(tried[0] == 2)] += 1;
                (1..step).for_each(|_| drop(places.in_turn()));
            }
            assert!(first.iter().all(|count| *count > 400), "{first:?} with {step} questions each");
        }
    }
}
