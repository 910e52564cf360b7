//! Taking dead paths out of a cache: from the index first, then from the catalog, which keeps tombstones.

use std::time::Instant;

use admin_api::Unit;
use catalog::{GcPath, TombstoneBatch};
use nix_formats::StorePathHash;

use super::super::JobError;
use super::Collection;
use super::plan::Plan;
use crate::cache::index::HiddenUnused;
use crate::fail_points::reached;

/// The number of paths in the first transaction, which other writes wait for.
const BATCH: usize = 16;

impl Collection<'_> {
    pub(super) async fn tombstone_paths(&mut self, plan: &Plan) -> Result<(), JobError> {
        let message = format!("taking paths out of {}", self.cache.name());
        self.reporter.begin(message, Unit::Paths, 0, Some(plan.count as u64));
        let mut batches = plan.census.batches(plan.count, BATCH);
        while let Some(batch) = batches.next() {
            self.reporter.check()?;
            let (number, begun) = (batch.len() as u64, Instant::now());
            self.tombstone_batch(plan, batch).await?;
            batches.took(begun.elapsed());
            self.reporter.advance(number);
        }
        Ok(())
    }

    async fn tombstone_batch(&mut self, plan: &Plan, batch: Vec<GcPath>) -> Result<(), JobError> {
        let mut hidden = Vec::new();
        let mut paths = Vec::with_capacity(batch.len());
        for path in batch {
            let index = &self.cache.index;
            let hidden_now = if plan.for_room {
                index.hide(&path.hash)
            } else {
                index.hide_unless_used_since(&path.hash, plan.unused_since, plan.now)
            };
            match hidden_now {
                HiddenUnused::Hidden => {
                    hidden.push(path.hash);
                    paths.push(path);
                }
                // It was hidden before, as its file is damaged.
                HiddenUnused::Absent => paths.push(path),
                // What it refers to is kept as well: it is still there to do so.
                HiddenUnused::InUse => {}
            }
        }
        reached("gc-hidden");
        let batch = TombstoneBatch {
            cache: self.cache.id,
            paths,
            unused_since: plan.unused_since,
            now: plan.now,
            trash: self.trash,
        };
        match self.core.catalog.tombstone_paths(batch).await {
            Ok(outcome) => {
                reached("gc-buried");
                self.show(hidden.iter().filter(|hash| outcome.alive.contains(hash)));
                outcome.files.iter().for_each(|file| self.cache.nars.forget(file));
                self.counts.paths_removed += outcome.tombstoned.len() as u64;
                self.counts.bytes_trashed += outcome.trashed_bytes;
                Ok(())
            }
            Err(error) => {
                // Paths that were taken out nevertheless are not found in the catalog when a client asks for them.
                self.show(hidden.iter());
                Err(error.into())
            }
        }
    }

    fn show<'h>(&self, hashes: impl Iterator<Item = &'h StorePathHash>) {
        hashes.for_each(|hash| self.cache.index.insert(*hash));
    }
}
