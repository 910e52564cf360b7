//! The files beside a NAR that make a storage a binary cache of its own: narinfo, listing, debug info links.
//!
//! They follow from the catalog and the NAR. A push writes them without waiting for the disk; a background worker makes them
//! durable, a batch at a time, from a list of due paths that the catalog keeps.
//!
//! | file | what |
//! |---|---|
//! | `files.rs` | writing the files of one path |
//! | `due.rs` | working off the list of due paths |
//! | `written.rs` | which of them this daemon wrote |
//!
//! Knows nothing of uploads, and of deletion only that it may happen at any time.

mod due;
mod files;
mod written;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog::{Catalog, CatalogError, PathRecord};
use nar_storage::layout;
use tokio::sync::Notify;

pub use self::files::{PublishError, read_listing, write_description};

use self::files::{write_copy, write_files, write_narinfo};
use self::written::Written;
use crate::cache::Cache;
use crate::cache::contents::Contents;
use crate::chain::chain;

/// Publishes paths.
pub struct Publisher {
    catalog: Catalog,
    /// Signalled for every path whose files are to be made durable.
    published: Notify,
    /// Paths whose files were written since the list was worked off.
    written: Written,
    /// Whether files are missing that are to be written again.
    rewrite: AtomicBool,
}

impl Publisher {
    /// Creates a publisher that works off the list of due paths in `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            published: Notify::new(),
            written: Written::default(),
            rewrite: AtomicBool::new(false),
        }
    }

    /// Writes the files of a path that is recorded. Files that cannot be written now are written in the background. Without
    /// `contents` these are read from the stored NAR.
    pub async fn publish(&self, cache: &Arc<Cache>, record: &PathRecord, contents: Option<Contents>) {
        let written = write_files(cache, record, contents).await;
        self.write_beside_copies(cache, record).await;
        self.finish(cache, record, written).await;
    }

    /// Writes the narinfo of a path that is recorded, whose other files stay as they are.
    pub async fn publish_narinfo(&self, cache: &Arc<Cache>, record: &PathRecord) {
        let written = write_narinfo(cache, record).await;
        self.write_beside_copies(cache, record).await;
        self.finish(cache, record, written).await;
    }

    /// Writes the files of a path to the storages with further copies of its NAR, if there are any. One that does not take them gets
    /// them with the next fsck.
    async fn write_beside_copies(&self, cache: &Arc<Cache>, record: &PathRecord) {
        if !cache.has_copies() {
            return;
        }
        let storages = match self.catalog.copy_storages(record.nar.id).await {
            Ok(storages) => storages,
            Err(error) => {
                return tracing::warn!(cache = cache.name(), error = %chain(&error), "could not look up the copies of a path");
            }
        };
        for storage in storages.into_iter().filter_map(|storage| cache.storage(storage)) {
            if !storage.liveness.is_lost()
                && let Err(error) = write_copy(cache, record, &storage).await
            {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "could not write the files beside a copy");
            }
        }
    }

    async fn finish(&self, cache: &Arc<Cache>, record: &PathRecord, written: Result<(), PublishError>) {
        let path = record.path.base_name();
        match written {
            Ok(()) => {
                self.written.add(record);
                self.published.notify_one();
                if let Err(error) = self.withdraw_if_deleted(cache, record).await {
                    tracing::warn!(cache = cache.name(), path, error = %chain(&error), "could not look whether a path was deleted");
                }
            }
            Err(error) => {
                tracing::warn!(cache = cache.name(), path, error = %chain(&error), "could not write the files of a path yet");
                self.publish_again();
            }
        }
    }

    /// Removes the files of a path that was deleted while they were written: the deletion may have looked for them before.
    async fn withdraw_if_deleted(&self, cache: &Arc<Cache>, record: &PathRecord) -> Result<(), CatalogError> {
        if self.is_recorded(cache, record).await? {
            return Ok(());
        }
        let Some(storage) = cache.storage(record.nar.storage) else { return Ok(()) };
        let hash = record.path.hash();
        for key in [layout::narinfo_key(hash), layout::listing_key(hash)] {
            if let Err(error) = storage.storage.delete(&key).await {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "could not remove a file of a deleted path");
            }
        }
        // It may have been pushed again in between.
        if self.is_recorded(cache, record).await? {
            self.catalog.mark_unpublished(cache.id, &[*hash]).await?;
            self.publish_again();
        }
        Ok(())
    }

    /// Whether the cache has the path, on the storage on which `record` has it.
    async fn is_recorded(&self, cache: &Cache, record: &PathRecord) -> Result<bool, CatalogError> {
        let homes = self.catalog.path_homes(cache.id, &[*record.path.hash()]).await?;
        Ok(homes.iter().any(|(_, home)| home.storage == record.nar.storage))
    }

    /// Waits until a path was published since the last call.
    pub async fn wait_until_due(&self) {
        self.published.notified().await;
    }

    /// Has the files of all due paths written again, as some may be missing.
    pub fn publish_again(&self) {
        self.rewrite.store(true, Ordering::Relaxed);
        self.published.notify_one();
    }
}
