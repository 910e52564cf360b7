//! Comparing the catalog with the storages, both ways.
//!
//! | file | what |
//! |---|---|
//! | `listing.rs` | what a storage has |
//! | `compare.rs` | what the catalog has that the storage lacks |
//! | `sweep.rs` | what the storage has and the catalog does not know there |
//! | `by_products.rs` | listings, debug info links and build logs whose paths are gone |
//! | `rebuild.rs` | taking paths into the catalog that only the storage knows |
//!
//! Pushes go on meanwhile. Whatever looks wrong is looked at once more, under the lock of the file, before something is
//! done about it. Memory: about 100 bytes per file of the storage at hand.

mod by_products;
mod compare;
mod hashing;
mod listing;
mod rebuild;
pub(super) mod sweep;

use std::sync::Arc;

use admin_api::{FsckStorage, FsckSummary, JobSummary, NoteLevel, Unit};

use self::by_products::ByProducts;
use self::listing::Listing;
use super::JobError;
use super::job::Reporter;
use super::scope::Scope;
use crate::cache::Cache;
use crate::cache::storages::{CacheStorage, Standing};
use crate::chain::chain;
use crate::core::Core;

/// What is to be done about what is found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Take paths into the catalog that only the storages know.
    pub(super) rebuild: bool,
    /// Change nothing, only tell.
    pub(super) dry_run: bool,
}

/// One storage under examination.
struct Examined<'a> {
    core: &'a Arc<Core>,
    cache: &'a Arc<Cache>,
    storage: &'a Arc<CacheStorage>,
    options: Options,
    /// Whether the catalog is known to lack paths of the storage.
    recovers: bool,
    reporter: &'a Reporter,
    counts: FsckStorage,
}

pub(super) async fn fsck(
    core: &Arc<Core>,
    scope: &Scope,
    options: Options,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let mut storages = Vec::new();
    for (cache, storage) in &scope.storages(core) {
        // Another daemon on the same catalog may have been told to make some.
        if core.catalog.has_copies(cache.id).await? {
            cache.expect_copies();
        }
        let counts = FsckStorage {
            cache: cache.name().to_owned(),
            storage: storage.name().to_owned(),
            ..FsckStorage::default()
        };
        let recovers = core.catalog.generation(storage.id).await?.rebuild;
        let mut examined = Examined { core, cache, storage, options, recovers, reporter, counts };
        if examined.run().await? && options.rebuild && !options.dry_run {
            examined.finish_rebuild().await?;
        }
        storages.push(examined.counts);
    }
    core.publisher.publish_again();
    Ok(JobSummary::Fsck(FsckSummary { dry_run: options.dry_run, storages }))
}

impl Examined<'_> {
    /// Returns whether all of the storage could be examined.
    async fn run(&mut self) -> Result<bool, JobError> {
        let place = self.place();
        if self.storage.liveness.is_lost() {
            self.problem("it cannot be read from and was left out".to_owned());
            return Ok(false);
        }
        self.reporter.begin(format!("listing {place}"), Unit::Files, 0, None);
        let mut listing = match Listing::read(self.storage.storage.as_ref(), self.reporter).await? {
            Ok(listing) => listing,
            Err(error) => {
                self.problem(format!("it cannot be listed and was left out: {}", chain(&error)));
                return Ok(false);
            }
        };
        for key in std::mem::take(&mut listing.strange) {
            self.problem(format!("{key} does not belong there"));
        }
        let nars = self.core.catalog.storage_stats(self.storage.id).await?.nars;
        self.reporter.begin(format!("comparing {place}"), Unit::Files, 0, Some(nars));
        self.compare_nars(&mut listing).await?;
        self.compare_paths(&mut listing).await?;
        let unknown = listing.narinfos.len() as u64 + listing.nars.len() as u64;
        self.reporter.begin(format!("looking at what else is in {place}"), Unit::Files, 0, Some(unknown));
        // What is removed from here on is taken off.
        if !self.options.dry_run {
            self.core.nar_store.set_by_products(self.storage, listing.by_product_bytes).await?;
        }
        let by_products = ByProducts::take(&mut listing);
        self.unknown(listing).await?;
        self.by_products(by_products).await?;
        let used = self.core.catalog.storage_used(self.storage.id).await?;
        self.cache.storages().set_used(self.storage, used);
        Ok(true)
    }

    /// Takes note that the catalog knows all that the storage holds.
    async fn finish_rebuild(&self) -> Result<(), JobError> {
        self.storage.set_standing(Standing::Ours);
        if self.recovers {
            self.core.catalog.finish_rebuild(self.storage.id).await?;
            tracing::warn!(
                cache = self.cache.name(),
                storage = self.storage.name(),
                recovered = self.counts.paths_rebuilt,
                missing = self.counts.missing,
                problems = self.counts.problems,
                "paths that the catalog had lost are back; tokens, pins and deployments that were made or removed since \
                 are as the older catalog has them: check `cachectl token list`"
            );
        }
        self.core.nar_store.touch(self.storage);
        Ok(())
    }

    fn place(&self) -> String {
        format!("{}/{}", self.cache.name(), self.storage.name())
    }

    /// Counts and tells something that could not be repaired.
    fn problem(&mut self, text: String) {
        self.counts.problems += 1;
        self.reporter.note(NoteLevel::Warn, format!("{}: {text}", self.place()));
    }
}
