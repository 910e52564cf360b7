//! Which daemon has the bytes of an upload, where several share the catalog.

use catalog::{CacheId, Catalog, CatalogError};
use nix_formats::FileHash;
use uuid::Uuid;

use crate::chain::chain;

/// Notes in the catalog which uploads are here, and knows where the others are.
#[derive(Clone)]
pub struct Owners {
    catalog: Catalog,
    /// How other daemons reach this one.
    own: String,
}

impl Owners {
    /// For the daemon that the others reach at the URL `own`.
    pub fn new(catalog: Catalog, own: String) -> Self {
        Self { catalog, own }
    }

    /// Notes that an upload in parts begins here.
    pub async fn record(&self, id: Uuid, cache: CacheId) -> Result<(), CatalogError> {
        self.catalog.record_open_upload(id, cache, &self.own).await
    }

    /// Notes that a file which came in one piece waits here for its narinfo.
    pub async fn record_file(&self, id: Uuid, cache: CacheId, file: FileHash) -> Result<(), CatalogError> {
        self.catalog.record_waiting_file(id, cache, &self.own, file).await
    }

    /// Takes the note of an upload back that ended without a result, in the background. One that stays for longer leads
    /// others here in vain, and goes with age.
    pub fn forget(&self, id: Uuid) {
        let catalog = self.catalog.clone();
        tokio::spawn(async move {
            if let Err(error) = catalog.forget_open_upload(id).await {
                tracing::debug!(error = %chain(&error), "could not take back the note of an upload");
            }
        });
    }

    /// Takes back the notes of all uploads here: none of them survives the process.
    pub async fn forget_all(&self) -> Result<u64, CatalogError> {
        self.catalog.forget_open_uploads_of(&self.own).await
    }

    /// The other daemon that has an upload.
    pub async fn find(&self, cache: CacheId, id: Uuid) -> Result<Option<String>, CatalogError> {
        let open = self.catalog.find_open_upload(id).await?;
        Ok(open.filter(|open| open.cache == cache && open.owner != self.own).map(|open| open.owner))
    }

    /// The other daemons that have a file which waits for its narinfo.
    pub async fn find_file(&self, cache: CacheId, file: &FileHash) -> Result<Vec<String>, CatalogError> {
        let waiting = self.catalog.find_waiting_files(cache, file).await?;
        let mut owners: Vec<String> =
            waiting.into_iter().map(|open| open.owner).filter(|owner| *owner != self.own).collect();
        owners.dedup();
        Ok(owners)
    }
}
