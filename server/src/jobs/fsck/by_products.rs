//! By-products whose paths are gone: listings, debug info links, build logs, realisations.

use nar_storage::{Key, layout};
use nix_formats::{StorePath, StorePathHash};
use serde::Deserialize;

use super::super::JobError;
use super::Examined;
use super::listing::Listing;
use crate::nar_store::Links;

/// Rows that are looked up at once.
const PAGE: usize = 512;
/// The largest realisation that is read: as large as a client may send.
const REALISATION_LIMIT: u64 = 1 << 20;

/// A realisation, as far as it names a path.
#[derive(Deserialize)]
struct Realisation {
    #[serde(rename = "outPath")]
    out_path: Option<String>,
    value: Option<Value>,
}

/// What newer Nix wraps the path in.
#[derive(Deserialize)]
struct Value {
    #[serde(rename = "outPath")]
    out_path: String,
}

/// The by-products on a storage that may have lost their path.
pub(super) struct ByProducts {
    listings: Vec<StorePathHash>,
    links: Vec<Key>,
    logs: Vec<String>,
    realisations: Vec<Key>,
}

impl ByProducts {
    /// Takes them out of a listing, of which the paths that the catalog knows were taken out before. The listing of a path that
    /// it does not know stays with its narinfo.
    pub(super) fn take(listing: &mut Listing) -> Self {
        let listings = std::mem::take(&mut listing.listings).into_iter();
        Self {
            listings: listings.filter(|hash| !listing.narinfos.contains_key(hash)).collect(),
            links: std::mem::take(&mut listing.links),
            logs: std::mem::take(&mut listing.logs),
            realisations: std::mem::take(&mut listing.realisations),
        }
    }
}

impl Examined<'_> {
    /// Removes listings and debug info links that no path has, and counts build logs and realisations that none has: their path
    /// may be still to come, or be in a cache that this one looks in.
    pub(super) async fn by_products(&mut self, found: ByProducts) -> Result<(), JobError> {
        for page in found.listings.chunks(PAGE) {
            self.reporter.check()?;
            let homes = self.core.catalog.path_homes(self.cache.id, page).await?;
            let orphans: Vec<StorePathHash> =
                page.iter().filter(|hash| !homes.contains_key(hash)).copied().collect();
            for hash in &orphans {
                if self.remove(&layout::listing_key(hash)).await {
                    self.counts.orphans_removed += 1;
                }
            }
            if !self.options.dry_run {
                // Those that were pushed meanwhile have lost them.
                self.core.catalog.mark_unpublished(self.cache.id, &orphans).await?;
            }
        }
        // A path that the catalog does not know may have links.
        if self.counts.unknown_paths == 0 && self.counts.problems == 0 {
            self.links(found.links).await?;
        }
        let unclaimed = self.core.catalog.derivers_without_paths(self.cache.id, found.logs).await?;
        self.counts.unclaimed_logs += unclaimed.len() as u64;
        self.realisations(found.realisations).await
    }

    async fn realisations(&mut self, keys: Vec<Key>) -> Result<(), JobError> {
        for page in keys.chunks(PAGE) {
            let mut found = Vec::with_capacity(page.len());
            for key in page {
                self.reporter.check()?;
                found.extend(self.realised(key).await.map(|path| (key, path)));
            }
            let paths: Vec<StorePathHash> = found.iter().map(|(_, path)| *path).collect();
            let homes = self.core.catalog.path_homes(self.cache.id, &paths).await?;
            let unclaimed = paths.iter().filter(|path| !homes.contains_key(path)).count();
            self.counts.unclaimed_realisations += unclaimed as u64;
            if !self.options.dry_run {
                self.record_realisations(&found).await?;
            }
        }
        Ok(())
    }

    /// Has the catalog know realisations that it does not, so that they go with their paths: those from before it had rows for them.
    async fn record_realisations(&self, found: &[(&Key, StorePathHash)]) -> Result<(), JobError> {
        let (catalog, cache) = (&self.core.catalog, self.cache.id);
        let names = found.iter().map(|(key, _)| key.as_str().to_owned()).collect();
        let known = catalog.known_realisations(cache, names).await?;
        for (key, path) in found.iter().filter(|(key, _)| !known.contains(key.as_str())) {
            catalog.record_realisation(cache, key.as_str(), path).await?;
        }
        Ok(())
    }

    /// The path that a realisation leads to. One that cannot be read, or understood, is left alone.
    async fn realised(&self, key: &Key) -> Option<StorePathHash> {
        let blob = self.storage.storage.open(key, None, None).await.ok()?;
        if blob.total_size > REALISATION_LIMIT {
            return None;
        }
        let realisation: Realisation = serde_json::from_slice(&blob.into_bytes().await.ok()?).ok()?;
        let path = realisation.out_path.or(realisation.value.map(|value| value.out_path))?;
        let base_name = path.rsplit('/').next()?;
        base_name.parse::<StorePath>().ok().map(|path| *path.hash())
    }

    async fn links(&mut self, keys: Vec<Key>) -> Result<(), JobError> {
        let (core, cache, storage) = (self.core.clone(), self.cache, self.storage);
        let mut links = Links::new(&core.nar_store, cache);
        for key in keys {
            self.reporter.check()?;
            if links.is_unneeded(storage, &key).await? && self.remove(&key).await {
                self.counts.orphans_removed += 1;
            }
        }
        Ok(())
    }
}
