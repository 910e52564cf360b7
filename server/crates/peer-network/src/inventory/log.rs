//! The filter of this node and its latest additions.

use nix_formats::StorePathHash;

use super::{InventoryFilter, InventoryMessage};

/// The most additions kept for peers that have an earlier version. Peers further behind get the whole filter.
const MOST_ADDED: usize = 65_536;

/// The filter of this node. It is rebuilt when too many of its paths were removed, or more were added than it has room for.
#[derive(Debug)]
pub struct InventoryLog {
    epoch: u64,
    filter: InventoryFilter,
    /// The capacity and the number of paths.
    room: usize,
    paths: usize,
    /// The latest additions, and how many earlier ones were dropped.
    added: Vec<StorePathHash>,
    forgotten: u64,
    removed: usize,
}

impl InventoryLog {
    /// Builds the filter of these paths. `epoch` must be different each time.
    pub fn of(epoch: u64, paths: &[StorePathHash]) -> Self {
        // Twice the capacity, so that it lasts for a while.
        let room = paths.len().saturating_mul(2).max(super::SMALLEST);
        let mut filter = InventoryFilter::with_room_for(room);
        paths.iter().for_each(|path| filter.insert(path));
        Self { epoch, filter, room, paths: paths.len(), added: Vec::new(), forgotten: 0, removed: 0 }
    }

    /// Records an added path.
    pub fn add(&mut self, path: StorePathHash) {
        self.filter.insert(&path);
        self.paths += 1;
        if self.added.len() == MOST_ADDED {
            self.added.drain(..MOST_ADDED / 2);
            self.forgotten += MOST_ADDED as u64 / 2;
        }
        self.added.push(path);
    }

    /// Records a removed path. The filter contains it until it is rebuilt, which costs peers a request.
    pub fn remove(&mut self) {
        self.removed += 1;
    }

    /// Returns whether the filter should be rebuilt.
    pub fn is_worn(&self) -> bool {
        self.paths > self.room || self.removed > self.paths / 8 + 64
    }

    /// Returns the message for a peer that has this version; 0 and 0 for none.
    pub fn since(&self, epoch: u64, position: u64) -> InventoryMessage {
        let now = self.forgotten + self.added.len() as u64;
        let known = position.checked_sub(self.forgotten).and_then(|known| usize::try_from(known).ok());
        match known.and_then(|known| self.added.get(known..)) {
            Some(paths) if epoch == self.epoch => {
                InventoryMessage::Added { epoch, position: now, paths: paths.to_vec() }
            }
            _ => InventoryMessage::Whole { epoch: self.epoch, position: now, filter: self.filter.clone() },
        }
    }
}
