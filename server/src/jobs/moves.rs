//! Moving files between storages: all off one, or until each has its share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin_api::{
    ApiError, ErrorCode, JobSummary, MoveSummary, NoteLevel, RebalanceSummary, StorageShare, Unit,
};
use catalog::{CopyRecord, NarId, NarRecord, StorageId};
use nar_storage::StorageSnapshot;

use super::JobError;
use super::fsck::sweep;
use super::job::Reporter;
use super::scope::Scope;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::config::Strategy;
use crate::core::Core;
use crate::nar_store::Relocated;

/// Files that are looked up at once.
const PAGE: u64 = 256;
/// How often to look how far the worker has come that copies files.
const POLL: Duration = Duration::from_millis(100);
/// A storage that was not relieved of anything for so long cannot be emptied.
const STANDSTILL: Duration = Duration::from_secs(60);

/// Moves everything off the storage of `scope`. Whatever was moved before is not there any more, so a drain that was
/// stopped goes on by itself.
pub(super) async fn drain(
    core: &Arc<Core>,
    scope: &Scope,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let mut summary = MoveSummary::default();
    for (cache, storage) in &scope.storages(core) {
        if !storage.config().draining {
            let text = format!(
                "storage {} still takes new files; set `draining: true` in the configuration to have it left alone",
                storage.name()
            );
            reporter.note(NoteLevel::Warn, text);
        }
        let bytes = core.catalog.storage_stats(storage.id).await?.file_bytes;
        reporter.begin(None, Unit::Bytes, 0, Some(bytes));
        let mut moves = Moves { core, cache, from: storage, reporter, summary: &mut summary };
        if cache.has_copies() {
            moves.all_copies().await?;
        } else {
            moves.all().await?;
        }
        sweep::sweep(core, cache, storage, reporter).await?;
    }
    Ok(JobSummary::Drain(summary))
}

struct Moves<'a> {
    core: &'a Core,
    cache: &'a Arc<Cache>,
    from: &'a Arc<CacheStorage>,
    reporter: &'a Reporter,
    summary: &'a mut MoveSummary,
}

impl Moves<'_> {
    async fn all(&mut self) -> Result<(), JobError> {
        let mut after: Option<NarId> = None;
        loop {
            let page = self.core.catalog.nars_on(self.from.id, after, PAGE).await?;
            let Some(last) = page.last().map(|nar| nar.id) else { return Ok(()) };
            for nar in &page {
                self.reporter.check()?;
                self.one(nar, &[]).await?;
                self.reporter.advance(nar.file_size);
            }
            after = Some(last);
        }
    }

    /// Waits until the worker `copies` has emptied the storage: it makes other copies first.
    async fn all_copies(&mut self) -> Result<(), JobError> {
        let (mut held, mut since) = (u64::MAX, Instant::now());
        loop {
            self.reporter.check()?;
            let homes = self.core.catalog.storage_stats(self.from.id).await?;
            let copies = self.core.catalog.storage_copies(self.from.id).await?;
            let now = homes.file_bytes + copies.bytes;
            if now == 0 {
                return Ok(());
            }
            if now < held {
                self.reporter.advance(if held == u64::MAX { 0 } else { held - now });
                (held, since) = (now, Instant::now());
            } else if since.elapsed() >= STANDSTILL {
                self.summary.left_files += homes.nars + copies.there + copies.damaged;
                self.summary.left_bytes += now;
                let why = "no other storage has room for a copy of every file, or it does not take new files yet: \
                           see `draining`";
                return Err(gave_up(self.from, &format!("cannot be emptied: {why}")));
            }
            self.core.nar_store.look_for_copies();
            tokio::time::sleep(POLL).await;
        }
    }

    /// Moves one file. Returns whether it lies elsewhere now.
    async fn one(&mut self, nar: &NarRecord, exclude: &[Arc<str>]) -> Result<bool, JobError> {
        if nar.damaged {
            self.leave(nar, "it is damaged");
            return Ok(false);
        }
        match self.core.nar_store.relocate(self.cache, nar, self.from, exclude).await {
            Ok(Relocated::Moved(_)) => {
                self.summary.moved_files += 1;
                self.summary.moved_bytes += nar.file_size;
                return Ok(true);
            }
            Ok(Relocated::Gone) => {}
            Ok(Relocated::Damaged(reason)) => self.leave(nar, &reason),
            Ok(Relocated::Unreadable(error)) => {
                self.leave(nar, &chain(&error));
                if self.from.liveness.is_lost() {
                    return Err(gave_up(self.from, "cannot be read from"));
                }
            }
            Err(PushError::Catalog(error)) => return Err(error.into()),
            Err(error @ (PushError::Full | PushError::StorageFailing | PushError::Draining)) => {
                return Err(gave_up(self.from, &format!("cannot be emptied: {}", chain(&error))));
            }
            Err(error) => self.leave(nar, &chain(&error)),
        }
        Ok(false)
    }

    fn leave(&mut self, nar: &NarRecord, reason: &str) {
        self.summary.left_files += 1;
        self.summary.left_bytes += nar.file_size;
        let text = format!("{}: {} stays where it is: {reason}", self.from.name(), nar.file_hash);
        self.reporter.note(NoteLevel::Warn, text);
    }
}

fn gave_up(storage: &CacheStorage, what: &str) -> JobError {
    JobError::Failed(ApiError {
        code: ErrorCode::Unavailable,
        message: format!("storage {} {what}", storage.name()),
        hint: Some("`cachectl storage list` shows the storages; repeat the command to go on".to_owned()),
    })
}

/// Moves files from storages that have more than their share to those that have less.
pub(super) async fn rebalance(
    core: &Core,
    scope: &Scope,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let mut moves = MoveSummary::default();
    let mut shares = Vec::new();
    let mut surpluses = Vec::new();
    for cache in scope.caches(core) {
        if cache.config().storage_strategy == Strategy::InOrder {
            let text = format!("cache {}: the strategy in-order has no shares to move towards", cache.name());
            reporter.note(NoteLevel::Info, text);
            continue;
        }
        let books = Books::of(&cache);
        surpluses.push((cache, books));
    }
    let total = surpluses.iter().map(|(_, books)| books.surplus()).sum();
    reporter.begin(None, Unit::Bytes, 0, Some(total));
    for (cache, mut books) in surpluses {
        rebalance_cache(core, &cache, &mut books, &mut moves, reporter).await?;
    }
    for cache in scope.caches(core) {
        shares.extend(cache.storages().snapshot().into_iter().map(|snapshot| StorageShare {
            cache: cache.name().to_owned(),
            storage: snapshot.name.to_string(),
            used_bytes: snapshot.used,
            share_wanted: snapshot.share_wanted,
            share_actual: snapshot.share_actual,
        }));
    }
    Ok(JobSummary::Rebalance(RebalanceSummary { moves, shares }))
}

/// Goes through the storages until nothing is left to move: a file that was of no use to anybody can be once others were moved.
async fn rebalance_cache(
    core: &Core,
    cache: &Arc<Cache>,
    books: &mut Books,
    summary: &mut MoveSummary,
    reporter: &Reporter,
) -> Result<(), JobError> {
    loop {
        let before = summary.moved_files;
        move_surplus(core, cache, books, summary, reporter).await?;
        // Each move brings the storages nearer to their shares, so this ends.
        if summary.moved_files == before {
            return Ok(());
        }
    }
}

async fn move_surplus(
    core: &Core,
    cache: &Arc<Cache>,
    books: &mut Books,
    summary: &mut MoveSummary,
    reporter: &Reporter,
) -> Result<(), JobError> {
    for storage in cache.storages().iter() {
        let mut after: Option<NarId> = None;
        while books.excess(storage.id) > 0 {
            let page = core.catalog.nars_on(storage.id, after, PAGE).await?;
            let Some(last) = page.last().map(|nar| nar.id) else { break };
            let ids: Vec<NarId> = page.iter().map(|nar| nar.id).collect();
            let copies = match cache.has_copies() {
                true => core.catalog.copies_of(&ids).await?,
                false => HashMap::new(),
            };
            for nar in page.iter().filter(|nar| !nar.damaged) {
                reporter.check()?;
                let Some(target) = books.target(storage.id, nar.file_size) else { continue };
                let is_there = |copy: &CopyRecord| copy.storage == Some(target);
                if copies.get(&nar.id).is_some_and(|copies| copies.iter().any(is_there)) {
                    continue;
                }
                let others: Vec<Arc<str>> = cache
                    .storages()
                    .iter()
                    .filter(|other| other.id != target)
                    .map(|other| other.name().into())
                    .collect();
                let mut moves = Moves { core, cache, from: storage, reporter, summary };
                if moves.one(nar, &others).await? {
                    books.moved(storage.id, target, nar.file_size);
                    reporter.advance(nar.file_size);
                }
            }
            after = Some(last);
        }
    }
    Ok(())
}

/// How far each storage of a cache is from its share of its tier.
struct Books(Vec<Entry>);

struct Entry {
    storage: StorageId,
    tier: u8,
    /// The bytes that it has more than its share.
    excess: i128,
}

impl Books {
    fn of(cache: &Cache) -> Self {
        let storages = cache.storages();
        let snapshots = storages.snapshot();
        let wanted = |of: &StorageSnapshot| {
            let tier = || snapshots.iter().filter(|snapshot| snapshot.tier == of.tier);
            let used: u128 = tier().map(|snapshot| u128::from(snapshot.used)).sum();
            let written = tier().filter(|snapshot| !snapshot.draining).count().max(1);
            match of.share_wanted {
                Some(share) => (used as f64 * share) as i128,
                None if of.draining => 0,
                None => (used / written as u128) as i128,
            }
        };
        let entries = snapshots.iter().filter_map(|snapshot| {
            let excess = i128::from(snapshot.used) - wanted(snapshot);
            Some(Entry { storage: storages.find(&snapshot.name)?.id, tier: snapshot.tier, excess })
        });
        Self(entries.collect())
    }

    /// Bytes that have to move.
    fn surplus(&self) -> u64 {
        let surplus: i128 = self.0.iter().map(|entry| entry.excess.max(0)).sum();
        u64::try_from(surplus).unwrap_or(u64::MAX)
    }

    fn excess(&self, storage: StorageId) -> i128 {
        self.0.iter().find(|entry| entry.storage == storage).map_or(0, |entry| entry.excess)
    }

    /// Where a file of `size` bytes should go from `from`, if moving it brings both nearer to their shares in sum.
    fn target(&self, from: StorageId, size: u64) -> Option<StorageId> {
        let Entry { tier, excess, .. } = *self.0.iter().find(|entry| entry.storage == from)?;
        let target = self.0.iter().filter(|entry| entry.tier == tier).min_by_key(|entry| entry.excess)?;
        let lack = -target.excess;
        let helps = excess > 0 && lack > 0 && i128::from(size) <= excess.max(lack);
        helps.then_some(target.storage)
    }

    fn moved(&mut self, from: StorageId, to: StorageId, size: u64) {
        for entry in &mut self.0 {
            if entry.storage == from {
                entry.excess -= i128::from(size);
            } else if entry.storage == to {
                entry.excess += i128::from(size);
            }
        }
    }
}
