//! The census: what keeps each path of a cache alive, and until when.

use std::collections::{HashMap, HashSet};

use nix_formats::StorePathHash;

use super::batches::Batches;
use super::load::ALWAYS;
use super::trace::{NONE, Trace};
use crate::{PathId, UnixTime};

/// The paths of a cache at one moment, with what keeps them alive.
///
/// A path lives as long as a path that refers to it, directly or not. So the census only needs to know when the last of those
/// was used: the path is removable once that is long enough ago. Queries count paths in the order in which they become
/// removable: the first is number 0.
#[derive(Default)]
pub struct Census {
    pub(super) ids: Vec<i64>,
    pub(super) hashes: Vec<[u8; 20]>,
    /// When each was last used or created.
    pub(super) own: Vec<i64>,
    /// The row of its file, until [`Census::count_files`]; then the number of the file.
    pub(super) nars: Vec<i64>,
    /// The size of its file in bytes.
    pub(super) sizes: Vec<u64>,
    /// The number of paths that need each file.
    needed_by: Vec<u32>,
    /// The names of the pins that protect paths.
    pub(super) pins: HashMap<u32, String>,
    /// The names of the deploy agents that protect paths.
    pub(super) agents: HashMap<u32, String>,
    /// The names of other caches whose closures need paths.
    pub(super) sisters: HashMap<u32, String>,
    /// Paths on disabled storages, which are kept.
    pub(super) on_disabled: HashSet<u32>,
    pub(super) traced: Trace,
}

/// A path in garbage collection.
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
    /// The path, a path that refers to it, and so on up to the one that keeps them all alive.
    pub chain: Vec<StorePathHash>,
    /// What keeps the last path of the chain.
    pub held: Held,
}

/// Why a path is kept, apart from references to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A pin of this name protects it.
    Pin(String),
    /// The deploy agent of this name runs it, can roll back to it, or is to activate it.
    Agent(String),
    /// A closure of the cache of this name needs it.
    Cache(String),
    /// It is on a disabled storage, where nothing is removed.
    Storage,
    /// It was created or last used then.
    Use(UnixTime),
}

impl Census {
    /// Returns the number of paths in the cache, including hidden ones.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether the cache has no paths.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns the number of paths that pins protect directly.
    pub fn pinned(&self) -> usize {
        self.pins.len()
    }

    /// Returns how many paths are removable because nothing that needs them was used since `cutoff`.
    pub fn unused_since(&self, cutoff: UnixTime) -> usize {
        self.traced.order.partition_point(|&path| self.traced.until[path as usize] < cutoff.0)
    }

    /// Returns how many of the least recently used paths to remove until the files of the rest take at most `target` bytes:
    /// at least `count`, but none that was used since `cutoff`.
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

    /// Returns how many files, and how many bytes, no path needs once the first `count` paths are removed.
    pub fn freed(&self, count: usize) -> (u64, u64) {
        let mut files = Files::of(self);
        let bytes = self.traced.order[..count].iter().map(|&path| files.remove(path)).sum();
        (files.removed, bytes)
    }

    /// Returns the first `count` removable paths in batches of about `size`. A cycle of references is in one batch.
    pub fn batches(&self, count: usize, size: usize) -> Batches<'_> {
        Batches::new(self, count, size)
    }

    /// Returns when a path, or one that needs it, was last used; `None` if it is kept whatever its age, or does not exist.
    pub fn last_use(&self, hash: &StorePathHash) -> Option<UnixTime> {
        self.last_use_of_path(self.find(hash)?)
    }

    /// As [`Census::last_use`], for the removable path with this number.
    pub fn last_use_of(&self, number: usize) -> Option<UnixTime> {
        self.last_use_of_path(*self.traced.order.get(number)?)
    }

    fn last_use_of_path(&self, path: u32) -> Option<UnixTime> {
        let until = self.traced.until[path as usize];
        (until != ALWAYS).then_some(UnixTime(until))
    }

    /// Returns what keeps a path alive, or did last; `None` if the cache does not have it.
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
        } else if let Some(name) = self.sisters.get(&path) {
            Held::Cache(name.clone())
        } else if self.on_disabled.contains(&path) {
            Held::Storage
        } else {
            Held::Use(UnixTime(self.own[path as usize]))
        };
        Some(Fate { chain, held })
    }

    /// Searches without an index, because this is a rare query of operators.
    fn find(&self, hash: &StorePathHash) -> Option<u32> {
        let number = self.hashes.iter().position(|known| known == hash.as_bytes())?;
        u32::try_from(number).ok()
    }

    pub(super) fn path(&self, number: u32) -> GcPath {
        let number = number as usize;
        GcPath { id: PathId(self.ids[number]), hash: StorePathHash::from_bytes(self.hashes[number]) }
    }

    /// Replaces the rows of files by consecutive numbers.
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

/// The number of paths that still need each file while paths are removed.
struct Files<'c> {
    census: &'c Census,
    needed_by: Vec<u32>,
    removed: u64,
}

impl<'c> Files<'c> {
    fn of(census: &'c Census) -> Self {
        Self { census, needed_by: census.needed_by.clone(), removed: 0 }
    }

    /// Removes a path. Returns the size of its file if no other path needs it.
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
