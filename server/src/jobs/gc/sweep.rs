//! Removing from the storages what no path needs.

use std::sync::Arc;

use admin_api::{NoteLevel, Unit};
use catalog::{NarId, TombstoneId};
use nar_storage::StorageError;

use super::super::JobError;
use super::Collection;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::nar_store::RemoveError;

/// Tombstones, or files, that are handled at once.
const PAGE: u64 = 200;

impl Collection<'_> {
    /// Removes what earlier runs and this one have left to be removed, from all storages that answer.
    pub(super) async fn sweep(&mut self) -> Result<(), JobError> {
        for storage in self.cache.storages().iter() {
            if storage.liveness.is_lost() {
                continue;
            }
            let message = format!("removing files from {}/{}", self.cache.name(), storage.name());
            self.reporter.begin(message, Unit::Files, 0, None);
            if self.sweep_tombstones(storage).await? {
                self.sweep_files(storage).await?;
            }
        }
        Ok(())
    }

    /// Returns whether the storage still answers.
    async fn sweep_tombstones(&mut self, storage: &Arc<CacheStorage>) -> Result<bool, JobError> {
        let mut after: Option<TombstoneId> = None;
        loop {
            let page = self.core.catalog.tombstones(storage.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(true) };
            after = Some(last.id);
            self.reporter.check()?;
            match self.core.nar_store.remove_tombstoned(self.cache, storage, &page).await {
                Ok(()) => self.reporter.advance(page.len() as u64),
                Err(RemoveError::Catalog(error)) => return Err(error.into()),
                Err(RemoveError::Storage(error)) => {
                    if !self.goes_on(storage, &error).await {
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn sweep_files(&mut self, storage: &Arc<CacheStorage>) -> Result<(), JobError> {
        let mut after: Option<NarId> = None;
        loop {
            let page = self.core.catalog.unneeded_nars(storage.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            self.reporter.check()?;
            let (freed, failed) = self.core.nar_store.remove_unneeded(self.cache, storage, &page).await?;
            self.counts.files_removed += freed.files;
            self.counts.bytes_freed += freed.bytes;
            self.reporter.advance(freed.files);
            if let Some(error) = failed
                && !self.goes_on(storage, &error).await
            {
                return Ok(());
            }
        }
    }

    /// Tells of a failure. Returns whether it is of single objects only, so that there is sense in going on.
    async fn goes_on(&self, storage: &CacheStorage, error: &StorageError) -> bool {
        let place = format!("{}/{}", self.cache.name(), storage.name());
        let text = format!(
            "{place}: something could not be removed and is left for the next run: {}",
            chain(&error)
        );
        self.reporter.note(NoteLevel::Warn, text);
        storage.failed(error);
        storage.is_alive().await
    }

    /// Counts the paths whose files are still there.
    pub(super) async fn count_postponed(&self) -> Result<u64, JobError> {
        let mut count = 0;
        for storage in self.cache.storages().iter() {
            count += self.core.catalog.count_tombstones(storage.id).await?;
        }
        Ok(count)
    }
}
