//! Further copies of NARs.
//!
//! A copy is claimed in the catalog for a storage, made, and durable with the files beside it before it counts. A crash leaves a
//! claim that expires and a file that is noted. What is too much is removed only while the copies that stay are there.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | which copies are made next |
//! | `make.rs` | making them |
//! | `remove.rs` | removing those that are too many, or that nothing needs |
//! | `tiers.rs` | moving files between tiers |

mod make;
mod remove;
mod tiers;

use std::collections::VecDeque;
use std::sync::Arc;

use catalog::{CacheId, CatalogError, CopyId, NarId, Survey, Surveyed, UnixTime};
use nix_formats::FileHash;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::NarStore;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::config::CopiesBeforeAnswer;

/// Copies that are claimed and recorded at once.
const BATCH: u64 = 16;
/// Files that were just pushed and are copied before the backlog.
const MOST_FRESH: usize = 4096;
/// A round of the backlog ends after so many copies that could not be made.
const MOST_FAILURES: u64 = 64;
/// The age in seconds from which on a claim counts as that of a daemon that died.
const EXPIRY: i64 = 600;

/// What a round of copying came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyRound {
    /// Copies that were made.
    pub made: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Copies that could not be made now.
    pub failed: u64,
    /// Where in the backlog the next round goes on. `None` at its end.
    pub after: Option<(i64, CopyId)>,
}

/// Files that were just pushed.
#[derive(Default)]
pub(in crate::nar_store) struct Fresh(Mutex<VecDeque<(CacheId, NarId)>>);

impl Fresh {
    fn add(&self, cache: CacheId, nar: NarId) {
        let mut fresh = self.0.lock();
        // The rest is found in the backlog.
        if fresh.len() < MOST_FRESH {
            fresh.push_back((cache, nar));
        }
    }

    fn take(&self, cache: CacheId, most: usize) -> Vec<NarId> {
        let mut fresh = self.0.lock();
        let mut taken = Vec::new();
        fresh.retain(|(of, nar)| {
            let takes = *of == cache && taken.len() < most;
            if takes {
                taken.push(*nar);
            }
            !takes
        });
        taken
    }
}

impl NarStore {
    /// Has the copies made of a file that was just pushed. Returns when they are durable, if the configuration says that a push is
    /// answered then.
    pub async fn copy_pushed(&self, cache: &Arc<Cache>, file: FileHash) {
        if cache.further_copies() == 0 {
            return;
        }
        let nar = match self.catalog.find_nar(cache.id, &file).await {
            Ok(Some(nar)) => nar,
            Ok(None) => return,
            Err(error) => {
                return tracing::warn!(cache = cache.name(), error = %chain(&error), "copies of a push are left for later");
            }
        };
        if cache.config().copies_before_answer == CopiesBeforeAnswer::All {
            match self.make_copies_of(cache, &[nar.id]).await {
                Ok(round) if round.failed == 0 => return,
                Ok(round) => {
                    let failed = round.failed;
                    tracing::debug!(cache = cache.name(), nar = %file, failed, "a push is answered with fewer copies than there are to be");
                }
                Err(error) => {
                    tracing::warn!(cache = cache.name(), nar = %file, error = %chain(&error), "copies of a push are left for later");
                }
            }
        } else {
            self.fresh.add(cache.id, nar.id);
        }
        self.copies_due.notify_one();
    }

    /// Has the worker look for copies to be made.
    pub fn look_for_copies(&self) {
        self.copies_due.notify_one();
    }

    /// Waits until a file was pushed of which copies are to be made.
    pub async fn wait_for_copies(&self) {
        self.copies_due.notified().await;
    }

    /// Gives up the claims of daemons that died.
    pub async fn expire_copy_claims(&self) -> Result<u64, CatalogError> {
        self.catalog.expire_copy_claims(UnixTime(UnixTime::now().0 - EXPIRY)).await
    }

    /// Gives up the claims of an earlier run. Others share the catalog on a server, and theirs are to expire.
    pub async fn expire_copies_of_last_run(&self) -> Result<(), CatalogError> {
        if !self.catalog.is_shared() && self.catalog.is_writable() {
            self.catalog.expire_copy_claims(UnixTime(i64::MAX)).await?;
        }
        Ok(())
    }

    /// Makes the copies of files that were just pushed.
    pub async fn copy_fresh(
        &self,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<CopyRound, CatalogError> {
        let mut round = CopyRound::default();
        while !stop.is_cancelled() {
            let nars = self.fresh.take(cache.id, BATCH as usize);
            if nars.is_empty() {
                break;
            }
            round.add(self.make_copies_of(cache, &nars).await?);
        }
        Ok(round)
    }

    async fn make_copies_of(&self, cache: &Arc<Cache>, nars: &[NarId]) -> Result<CopyRound, CatalogError> {
        let mut wanted = Vec::new();
        for nar in nars {
            wanted.extend(self.catalog.copies_to_make_of(*nar).await?);
        }
        self.make_batch(cache, wanted).await
    }

    /// Makes copies of the backlog behind `after`, the most exposed first.
    pub async fn work_off_copies(
        &self,
        cache: &Arc<Cache>,
        after: Option<(i64, CopyId)>,
        stop: &CancellationToken,
    ) -> Result<CopyRound, CatalogError> {
        let mut round = CopyRound { after, ..CopyRound::default() };
        while !stop.is_cancelled() && round.failed < MOST_FAILURES {
            let batch = self.catalog.copies_to_make(cache.id, round.after, BATCH).await?;
            round.after = batch.last().map(|last| last.place);
            if batch.is_empty() {
                break;
            }
            round.add(self.make_batch(cache, batch).await?);
            // What was pushed meanwhile is exposed as well.
            round.add(self.copy_fresh(cache, stop).await?);
        }
        Ok(round)
    }

    /// Compares some files behind `after` with the copies that there should be. Returns how far it came.
    pub async fn survey_copies(
        &self,
        cache: &Arc<Cache>,
        survey: &Survey,
        after: Option<NarId>,
        limit: u64,
    ) -> Result<Surveyed, CatalogError> {
        let surveyed = self.catalog.survey_copies(survey, after, limit).await?;
        if surveyed.moved > 0 {
            cache.nars.forget_all();
        }
        for path in &surveyed.revealed {
            cache.index.forget_reply(path);
            cache.show_recorded(&self.catalog, *path);
        }
        Ok(surveyed)
    }

    /// The storages with something of a file, beside its home.
    pub(in crate::nar_store) async fn other_places(
        &self,
        cache: &Cache,
        nar: NarId,
    ) -> Result<Vec<Arc<CacheStorage>>, CatalogError> {
        if !cache.has_copies() {
            return Ok(Vec::new());
        }
        let copies = self.catalog.copies_of(&[nar]).await?.remove(&nar).unwrap_or_default();
        Ok(copies.into_iter().filter_map(|copy| cache.storage(copy.storage?)).collect())
    }

    /// Whether a storage has, or is about to have, a further copy of a file.
    pub(in crate::nar_store) async fn is_copied_to(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        file: FileHash,
    ) -> Result<bool, CatalogError> {
        Ok(cache.has_copies() && !self.catalog.copied_to(storage.id, &[file]).await?.is_empty())
    }
}

impl CopyRound {
    pub(super) fn add(&mut self, other: Self) {
        self.made += other.made;
        self.bytes += other.bytes;
        self.failed += other.failed;
    }
}
