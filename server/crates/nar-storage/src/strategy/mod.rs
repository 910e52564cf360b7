//! Which storage takes a file.
//!
//! A [`Placement`] knows what is on the storages of one cache, what is on its way to them and which of them can be
//! written to, and picks one per file by the cache's [`Strategy`]. It is bookkeeping only: it knows no backend, no
//! catalog and no clock. Its caller tells it what becomes of the files and of the storages.

mod choose;
mod ledger;
mod placement;
mod reservation;
mod slot;
mod snapshot;
mod turns;

use std::sync::Arc;

use thiserror::Error;

pub use placement::Placement;
pub use reservation::Reservation;
pub use snapshot::StorageSnapshot;
pub use turns::{InvalidTurns, Turns};

/// How a cache picks the storage for a file.
///
/// Every strategy picks among the storages that can take the file: those that have room for it, work, are not draining
/// and are not excluded. Where it has no preference, the first in listed order is picked. The *load* of a storage is
/// the bytes that it holds and those reserved on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The next one in turn: files go around in listed order.
    ///
    /// Picked is the storage that had the fewest turns, so that storages which pass none get the same number of files,
    /// or one more. A reservation is a turn taken: parallel uploads go to successive storages. When it is dropped, the
    /// turn is given back. A storage that cannot take the file when it would be its turn loses the turn, and is not
    /// flooded with what it missed once it is back; one that is excluded, which says nothing about the next file, can
    /// catch up by one turn.
    RoundRobin,
    /// The first one in listed order: the next storage is used only for what the ones before it cannot take.
    InOrder,
    /// The one that is the most bytes below its share, as it would be with this file stored.
    ///
    /// Shares apply to the storages that can take the file: when one of them is full, the others share what comes in
    /// proportion to their percentages, counting only what they have themselves.
    Split,
    /// The one with the smallest load in bytes.
    LeastUsed,
}

/// What a [`Placement`] is told of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageState {
    /// Name from the configuration. A placement knows the storage by it, also over a change of the configuration.
    pub name: Arc<str>,
    /// Percentage of the bytes that it should get, for [`Strategy::Split`] only. With 0 it gets none while another
    /// storage with a share can take the file.
    pub share: u8,
    /// Load in bytes that it must not exceed.
    pub max_size: Option<u64>,
    /// Still read, no longer written.
    pub draining: bool,
    /// Bytes that the cache has on it, according to the catalog.
    pub used: u64,
}

/// No storage of the cache can take a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// Every storage, or the medium that it is on, is too full for it. Trying again helps once something was removed.
    #[error("no storage of the cache has room for the file")]
    Full,
    /// Every storage that may have room is failing, or was excluded. Trying again later may help.
    #[error("no storage of the cache that has room works")]
    Failing,
    /// No storage is written to: all of them are draining, or there is none.
    #[error("the cache has no storage that is written to")]
    NotWritten,
}

#[cfg(test)]
mod tests;
