//! The NAR files of caches on their storages, from the moment one is put there until it is removed.
//!
//! | file | what |
//! |---|---|
//! | `put.rs` | storing a verified NAR on the first storage that takes it |
//! | `journal.rs`, `lost.rs` | noticing that the catalog has lost what it had recorded |
//! | `locks.rs` | one lock per file, so that it is not stored and removed at once |
//! | `intent.rs` | notes of files that the catalog does not know yet |
//! | `parked.rs` | a stored file whose path could not be recorded yet |
//! | `recover.rs` | working off those notes after a crash |
//! | `relocate.rs` | moving a file to another storage |
//! | `copies/` | making further copies, and removing those that are too many |
//! | `sharing.rs` | keeping the same NAR of several caches in one file |
//! | `delete.rs`, `collect.rs` | removing paths, and the files that no path needs |
//! | `by_products.rs` | removing debug info links and logs with their last path |
//! | `trash.rs` | restoring removed paths, and emptying the trash |
//!
//! Order matters everywhere: a file is noted before it is stored, and durable before the catalog knows it; the catalog forgets
//! a file only after it was removed. Knows nothing of uploads and of HTTP.

mod by_products;
mod collect;
mod copies;
mod delete;
mod intent;
mod journal;
mod locks;
mod lost;
mod parked;
mod put;
mod recover;
mod relocate;
mod sharing;
mod trash;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use catalog::{CacheId, Catalog};
use nix_formats::FileHash;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::task::TaskTracker;

pub use self::by_products::Links;
pub use self::collect::RemoveError;
pub use self::delete::Deletion;
pub use self::intent::Intents;
pub use self::journal::Journal;
pub use self::parked::Parked;
pub use self::put::{Assembled, NarToStore};
pub use self::relocate::Relocated;

use self::locks::FileLocks;
use crate::publish::Publisher;

/// Stores, moves and removes NAR files.
pub struct NarStore {
    catalog: Catalog,
    intents: Arc<Intents>,
    journal: Journal,
    /// Whether it is known since the start of which storages the catalog has lost paths.
    looked: AtomicBool,
    /// Told when a storage was touched.
    touched: Notify,
    locks: FileLocks,
    publisher: Arc<Publisher>,
    /// Deletions run to their end even if the client hangs up; a shutdown waits for them.
    deletions: TaskTracker,
    /// Held while the trash is emptied to make room.
    making_room: tokio::sync::Mutex<()>,
    /// Told when a cache is to be collected to make room.
    crowded: Notify,
    /// Told when copies are to be made.
    copies_due: Notify,
    /// Told when files are to be moved between tiers.
    moves_due: Notify,
    /// Files that were just pushed, of which copies are to be made.
    fresh: copies::Fresh,
    /// Files that were just stored, and that other caches may have as well.
    to_share: sharing::ToShare,
}

impl NarStore {
    /// Creates a store that notes in `intents` what the catalog does not know yet, and lists in `journal` what it knows since
    /// lately.
    pub fn new(catalog: Catalog, intents: Intents, journal: Journal, publisher: Arc<Publisher>) -> Self {
        Self {
            catalog,
            intents: Arc::new(intents),
            journal,
            looked: AtomicBool::new(false),
            touched: Notify::new(),
            locks: FileLocks::default(),
            publisher,
            deletions: TaskTracker::new(),
            crowded: Notify::new(),
            copies_due: Notify::new(),
            moves_due: Notify::new(),
            fresh: copies::Fresh::default(),
            to_share: sharing::ToShare::default(),
            making_room: tokio::sync::Mutex::default(),
        }
    }

    /// Locks a file against being stored, removed or moved by others in this process.
    pub async fn lock_file(&self, cache: CacheId, file: FileHash) -> OwnedMutexGuard<()> {
        self.locks.lock(cache, file).await
    }

    /// Waits until no deletion is under way. No new ones may be started.
    pub async fn drain(&self) {
        self.deletions.close();
        self.deletions.wait().await;
    }
}
