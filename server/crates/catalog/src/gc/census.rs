//! What keeps each path of a cache alive, and until when.

use std::collections::{HashMap, HashSet};

use nix_formats::StorePathHash;

use super::batches::Batches;
use super::load::ALWAYS;
use super::trace::{NONE, Trace};
use crate::{PathId, UnixTime};

/// The paths of a cache at one moment, with what keeps them alive.
///
/// A path lives as long as one that refers to it, directly or not. So all that has to be known of it is when the last of
/// those was used: it may go when that is long enough ago. Paths are asked for by how many may go, in the order in which
/// they may: the first that may go is number 0.
#[derive(Default)]
pub struct Census {
    pub(super) ids: Vec<i64>,
    pub(super) hashes: Vec<[u8; 20]>,
    /// When each was used last, or made.
    pub(super) own: Vec<i64>,
    /// The row of its file, until [`Census::count_files`]; then the number of the file.
    pub(super) nars: Vec<i64>,
    /// Size of its file.
    pub(super) sizes: Vec<u64>,
    /// How many paths need each file.
    needed_by: Vec<u32>,
    /// Names of the pins that hold paths.
    pub(super) pins: HashMap<u32, String>,
    /// Names of the deploy agents that hold paths.
    pub(super) agents: HashMap<u32, String>,
    /// Paths on storages that are not in use, about which nothing is decided.
    pub(super) shelved: HashSet<u32>,
    pub(super) traced: Trace,
}

/// A path, as garbage collection handles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcPath {
    /// Its row.
    pub id: PathId,
    /// Its hash.
    pub hash: StorePathHash,
}

/// What keeps a path alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The path, the one that refers to it, and so on up to the one that keeps them all.
    pub chain: Vec<StorePathHash>,
    /// What keeps the last one of the chain.
    pub held: Held,
}

/// Why a path that nothing refers to is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// By a pin of this name.
    Pin(String),
    /// By the deploy agent of this name, which runs it, may go back to it, or is told to run it.
    Agent(String),
    /// It lies on a storage that is not in use, and nothing there is touched.
    Storage,
    /// By having been made or used then, if that is not too long ago.
    Use(UnixTime),
}

impl Census {
    /// How many paths the cache has, hidden ones included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the cache has no paths.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many paths pins hold directly.
    pub fn pinned(&self) -> usize {
        self.pins.len()
    }

    /// How many paths may go because nothing that needs them was used since `cutoff`.
    pub fn unused_since(&self, cutoff: UnixTime) -> usize {
        self.traced.order.partition_point(|&path| self.traced.until[path as usize] < cutoff.0)
    }

    /// How many paths have to go until the files of the rest take no more than `target` bytes: the least recently used
    /// ones, but none that was used since `cutoff`. At least `count`.
    pub fn to_size(&self, count: usize, target: u64, cutoff: UnixTime) -> usize {
        let limit = self.unused_since(cutoff);
        let mut left = self.files_of_all();
        let mut files = Files::of(self);
        for (number, &path) in self.traced.order[..limit].iter().enumerate() {
            if number >= count && left <= target {
                return number;
            }
            left -= files.remove(path);
        }
        limit.max(count)
    }

    /// How many files, and bytes of files, no path needs any more when the first `count` are gone.
    pub fn freed(&self, count: usize) -> (u64, u64) {
        let mut files = Files::of(self);
        let bytes = self.traced.order[..count].iter().map(|&path| files.remove(path)).sum();
        (files.removed, bytes)
    }

    /// The first `count` paths in the order in which they may go, in batches of about `size`. What refers to each other in
    /// a circle is in one batch.
    pub fn batches(&self, count: usize, size: usize) -> Batches<'_> {
        Batches::new(self, count, size)
    }

    /// When a path, or one that needs it, was last used; `None` if it is held whatever its age, or not there.
    pub fn last_use(&self, hash: &StorePathHash) -> Option<UnixTime> {
        self.last_use_of_path(self.find(hash)?)
    }

    /// As [`Census::last_use`], of the path with this number in the order in which they may go.
    pub fn last_use_of(&self, number: usize) -> Option<UnixTime> {
        self.last_use_of_path(*self.traced.order.get(number)?)
    }

    fn last_use_of_path(&self, path: u32) -> Option<UnixTime> {
        let until = self.traced.until[path as usize];
        (until != ALWAYS).then_some(UnixTime(until))
    }

    /// What keeps a path alive, or did last; `None` if the cache does not have it.
    pub fn fate(&self, hash: &StorePathHash) -> Option<Fate> {
        let mut path = self.find(hash)?;
        let mut chain = vec![*hash];
        while self.traced.via[path as usize] != NONE {
            path = self.traced.via[path as usize];
            chain.push(self.path(path).hash);
        }
        let held = if let Some(name) = self.pins.get(&path) {
            Held::Pin(name.clone())
        } else if let Some(name) = self.agents.get(&path) {
            Held::Agent(name.clone())
        } else if self.shelved.contains(&path) {
            Held::Storage
        } else {
            Held::Use(UnixTime(self.own[path as usize]))
        };
        Some(Fate { chain, held })
    }

    /// Not worth an index: asked once, for an operator.
    fn find(&self, hash: &StorePathHash) -> Option<u32> {
        let number = self.hashes.iter().position(|known| known == hash.as_bytes())?;
        u32::try_from(number).ok()
    }

    pub(super) fn path(&self, number: u32) -> GcPath {
        let number = number as usize;
        GcPath { id: PathId(self.ids[number]), hash: StorePathHash::from_bytes(self.hashes[number]) }
    }

    /// Gives files consecutive numbers in place of their rows.
    pub(super) fn count_files(&mut self) {
        let mut rows = self.nars.clone();
        rows.sort_unstable();
        rows.dedup();
        self.needed_by = vec![0; rows.len()];
        for nar in &mut self.nars {
            let number = rows.partition_point(|row| row < nar);
            self.needed_by[number] += 1;
            *nar = number as i64;
        }
    }

    fn files_of_all(&self) -> u64 {
        let mut seen = vec![false; self.needed_by.len()];
        let files = self.nars.iter().zip(&self.sizes);
        files
            .filter(|(nar, _)| !std::mem::replace(&mut seen[**nar as usize], true))
            .map(|(_, size)| size)
            .sum()
    }
}

/// How many paths still need each file while paths are taken away.
struct Files<'c> {
    census: &'c Census,
    needed_by: Vec<u32>,
    removed: u64,
}

impl<'c> Files<'c> {
    fn of(census: &'c Census) -> Self {
        Self { census, needed_by: census.needed_by.clone(), removed: 0 }
    }

    /// Takes a path away. Returns the bytes of its file if that was the last one that needed it.
    fn remove(&mut self, path: u32) -> u64 {
        let left = &mut self.needed_by[self.census.nars[path as usize] as usize];
        *left -= 1;
        if *left > 0 {
            return 0;
        }
        self.removed += 1;
        self.census.sizes[path as usize]
    }
}
