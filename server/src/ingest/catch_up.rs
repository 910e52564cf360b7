//! Serving at once what another daemon has committed.
//!
//! Daemons that share the catalog hear of each other's paths by its feed of changes, usually within milliseconds. A client
//! that is told by this daemon that its path is there may ask for it sooner, and Nix remembers a 404 for an hour. So before
//! this daemon passes such an answer on, it looks into the catalog itself.

use catalog::CatalogError;
use nix_formats::StorePathHash;

use super::Ingest;
use crate::cache::Cache;

impl Ingest {
    /// Makes a path visible here that another daemon has recorded. `false` if the catalog does not have it, or its file is
    /// damaged. Without other daemons there is nothing to do.
    pub async fn catch_up(&self, cache: &Cache, path: &StorePathHash) -> Result<bool, CatalogError> {
        if !self.catalog.is_shared() {
            return Ok(true);
        }
        let _recording = cache.index.recording.read().await;
        if !self.show_if_recorded(cache, path).await? {
            return Ok(false);
        }
        // It may have been hidden between being read and being shown. Whatever hides it from now on is heard after this.
        let is_still_there = self.show_if_recorded(cache, path).await?;
        if !is_still_there {
            cache.index.remove(path);
        }
        Ok(is_still_there)
    }

    async fn show_if_recorded(&self, cache: &Cache, path: &StorePathHash) -> Result<bool, CatalogError> {
        let record = self.catalog.find_path(cache.id, path).await?.filter(|record| !record.nar.damaged);
        let Some(record) = record else { return Ok(false) };
        // What is remembered of it may be older.
        cache.nars.forget(&record.nar.file_hash);
        cache.index.forget_reply(path);
        cache.index.insert_ahead_of_feed(*path);
        Ok(true)
    }
}
