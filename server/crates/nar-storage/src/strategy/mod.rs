//! Placement: which storage receives a file.
//!
//! A [`Placement`] tracks the bytes on the storages of one cache, the bytes reserved on them and their health, and picks a storage
//! for each file by the cache's [`Strategy`]. It knows no backend, no catalog and no clock: the caller reports what happens to
//! files and storages.

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
/// Every strategy picks among the storages that can accept the file: those that have room for it, work, are not draining and are
/// not excluded. Of several tiers only the fastest that has such a storage counts. Without a preference it picks the first in listed
/// order. The *load* of a storage is the sum of its used and reserved bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The next one in turn, in listed order.
    ///
    /// Picks the storage with the fewest turns, so that storages that miss none differ by at most one file. A reservation takes a
    /// turn: parallel uploads go to successive storages. Dropping it returns the turn. A storage that cannot accept a file in its
    /// turn loses the turn, so that it is not flooded with missed files when it is back. An excluded storage, which may accept the
    /// next file, can catch up by one turn.
    RoundRobin,
    /// The first one in listed order: a storage is used only for files that those before it cannot accept.
    InOrder,
    /// The one furthest below its share of bytes, with this file included in the total.
    ///
    /// Shares apply to the storages that can accept the file: if one is full, the others share new files in proportion to their
    /// percentages, counting only their own bytes.
    Split,
    /// The one with the smallest load in bytes.
    LeastUsed,
}

/// The initial state of a storage in a [`Placement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageState {
    /// The name from the configuration, which identifies the storage even after a change of the configuration.
    pub name: Arc<str>,
    /// The percentage of the bytes that it should get, for [`Strategy::Split`] only. With 0 it gets none while another storage with
    /// a share can accept the file.
    pub share: u8,
    /// The tier: 0 for the fastest storages. Files go to a slower tier only when no storage of the faster ones can accept them.
    pub tier: u8,
    /// The highest load in bytes.
    pub max_size: Option<u64>,
    /// Whether the storage is read but no longer written.
    pub draining: bool,
    /// The bytes of the NAR files that the cache has on it, according to the catalog.
    pub used: u64,
    /// The bytes of other objects on it, which count against `max_size` but not for the strategy.
    pub by_products: u64,
}

/// Why no storage of the cache can accept a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// Every storage or its medium is too full. A retry helps after something was removed.
    #[error("no storage of the cache has room for the file")]
    Full,
    /// The files of the cache would exceed the limit for all its storages together. A retry helps after something was removed.
    #[error("the cache has reached its limit")]
    Limit,
    /// Every storage that may have room is failing or excluded. A retry may help later.
    #[error("every storage of the cache that may have room is failing")]
    Failing,
    /// All storages are draining, or there is none.
    #[error("the cache has no writable storage")]
    NotWritten,
}

#[cfg(test)]
mod tests;
