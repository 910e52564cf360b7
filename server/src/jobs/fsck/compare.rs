//! What the catalog has that the storage lacks.

use catalog::{NarId, NarRecord, PathRecord};
use nar_storage::layout;
use nix_formats::{NarFileName, StorePathHash};

use super::super::JobError;
use super::Examined;
use super::listing::Listing;
use crate::cache::publish::narinfo;

/// Rows that are looked up at once.
const PAGE: u64 = 512;

impl Examined<'_> {
    /// Looks for every NAR of the catalog, and takes those that are there out of the listing.
    pub(super) async fn compare_nars(&mut self, listing: &mut Listing) -> Result<(), JobError> {
        let mut after: Option<NarId> = None;
        loop {
            let page = self.app.catalog.nars_on(self.storage.id, after, PAGE).await?;
            let Some(last) = page.last().map(|nar| nar.id) else { return Ok(()) };
            for nar in &page {
                self.reporter.check()?;
                let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
                let found = listing.nars.remove(&name);
                if !nar.damaged {
                    self.counts.files_checked += 1;
                    if found != Some(nar.file_size) {
                        self.look_again(nar, &name).await?;
                    }
                }
                self.reporter.advance(1);
            }
            after = Some(last);
        }
    }

    /// It may have been stored after the listing came to its place.
    async fn look_again(&mut self, nar: &NarRecord, name: &NarFileName) -> Result<(), JobError> {
        let reason = match self.storage.storage.head(&layout::nar_key(name)).await {
            Ok(Some(size)) if size == nar.file_size => return Ok(()),
            Ok(Some(size)) => {
                self.counts.wrong_size += 1;
                format!("it has {size} bytes instead of {}", nar.file_size)
            }
            Ok(None) => {
                self.counts.missing += 1;
                "it is missing".to_owned()
            }
            Err(error) => {
                self.problem(format!("{name} cannot be looked at: {error}"));
                return Ok(());
            }
        };
        self.note(format!("{name}: {reason}; its paths are hidden until they are pushed again"));
        if self.options.dry_run {
            return Ok(());
        }
        self.cache.hide_nar(&self.app.catalog, nar.id, name, &reason).await?;
        Ok(())
    }

    /// Looks for the narinfo of every path whose NAR is here, and takes those that are right out of the listing.
    pub(super) async fn compare_paths(&mut self, listing: &mut Listing) -> Result<(), JobError> {
        let mut after: Option<StorePathHash> = None;
        loop {
            self.reporter.check()?;
            let page = self.app.catalog.list_paths(self.cache.id, after, PAGE).await?;
            let Some(last) = page.last().map(|path| *path.path.hash()) else { return Ok(()) };
            let here = page.iter().filter(|path| path.nar.storage == self.storage.id);
            let wrong: Vec<_> =
                here.filter(|path| !is_right(path, listing)).map(|path| *path.path.hash()).collect();
            if !wrong.is_empty() {
                self.counts.narinfos_rewritten += match self.options.dry_run {
                    true => wrong.len() as u64,
                    false => self.app.catalog.mark_unpublished(self.cache.id, &wrong).await?,
                };
            }
            after = Some(last);
        }
    }
}

/// Whether the narinfo of a path is there, as far as its size tells. One that is not needed is taken for right.
fn is_right(path: &PathRecord, listing: &mut Listing) -> bool {
    let found = listing.narinfos.remove(path.path.hash());
    path.nar.damaged || found == Some(narinfo(path).to_string().len() as u64)
}
