//! Moving files between tiers: copies to a slower tier, giving up those on a faster one, and copies to a faster tier for readers.
//!
//! Nothing is moved in place. A copy on the other tier is claimed, made and recorded as any further copy is, and only then the catalog
//! gives up the one that is to go. A crash leaves a claim that expires, or a copy too many.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::{CatalogError, NarId, NarRecord, Release, Released, StorageId, UnixTime, UsedFile};
use nar_storage::{Reservation, layout};
use nix_formats::NarFileName;
use tokio_util::sync::CancellationToken;

use super::make::Task;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::cache::tiers::Promotion;
use crate::chain::chain;
use crate::counters::{DEMOTED, PROMOTED};
use crate::fail_points::reached;
use crate::nar_store::NarStore;

/// Files that are looked up at once to displace some of them.
const CANDIDATES: u64 = 64;

impl NarStore {
    /// Has the worker move files between tiers.
    pub fn look_for_moves(&self) {
        self.moves_due.notify_one();
    }

    /// Waits until files are to be moved between tiers.
    pub async fn wait_for_moves(&self) {
        self.moves_due.notified().await;
    }

    /// Moves files from a storage to slower ones: copies those that these do not have, and gives up the copies here.
    /// Returns how many were moved.
    pub async fn demote(
        &self,
        cache: &Arc<Cache>,
        from: &Arc<CacheStorage>,
        files: &[UsedFile],
        stop: &CancellationToken,
    ) -> Result<u64, CatalogError> {
        let mut moved = 0;
        let short =
            self.release(cache, from, files.iter().map(|file| &file.nar).collect(), &mut moved).await?;
        if !short.is_empty() {
            reached("demote-begun");
            let tasks = self.plan_demotion(cache, from, &short).await?;
            self.make_claimed(cache, tasks).await?;
            reached("demote-copied");
            self.release(cache, from, short, &mut moved).await?;
        }
        reached("demote-released");
        if moved > 0
            && let Err(error) = self.remove_leaving_copies(cache, stop).await
        {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "files that were demoted are removed later");
        }
        DEMOTED.add(moved);
        Ok(moved)
    }

    /// Gives up the copies on a storage of those files that slower ones have, and counts them as moved. Returns the others.
    async fn release<'f>(
        &self,
        cache: &Cache,
        from: &CacheStorage,
        files: Vec<&'f NarRecord>,
        moved: &mut u64,
    ) -> Result<Vec<&'f NarRecord>, CatalogError> {
        let mut slower = cache.storages().slower_than(from.config().tier);
        slower.retain(|storage| counts(storage));
        let mut answered = Vec::with_capacity(files.len());
        for nar in files {
            if self.have_answered(cache, nar, &slower).await? {
                answered.push(nar);
            }
        }
        let files = answered;
        let slower: Vec<StorageId> = slower.iter().map(|storage| storage.id).collect();
        let (copies, durable) = (u64::from(cache.config().copies.max(1)), cache.durable_storages());
        let release = |nar: &&NarRecord| Release {
            nar: nar.id,
            from: from.id,
            copies,
            slower: slower.clone(),
            durable: durable.clone(),
        };
        let released = self.catalog.release_copies(files.iter().map(release).collect()).await?;
        let mut short = Vec::new();
        for (nar, released) in files.into_iter().zip(released) {
            match released {
                Released::Leaving(paths) => {
                    cache.nars.forget(&nar.file_hash);
                    for path in &paths {
                        cache.index.forget_reply(path);
                    }
                    *moved += 1;
                }
                Released::Short => short.push(nar),
                Released::Gone => {}
            }
        }
        Ok(short)
    }

    /// Whether the slower storages with a file say that they have it, or do not. A copy that is gone is to be replaced, and no reason to give
    /// up the one on the fast storage.
    async fn have_answered(
        &self,
        cache: &Cache,
        nar: &NarRecord,
        slower: &[Arc<CacheStorage>],
    ) -> Result<bool, CatalogError> {
        let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
        for place in cache.places_of(&self.catalog, nar).await? {
            let Some(storage) = slower.iter().find(|storage| storage.id == place) else { continue };
            match storage.storage.head(&layout::nar_key(&name)).await {
                Ok(Some(size)) if size == nar.file_size => {}
                Ok(_) => cache.hide_nar(&self.catalog, (nar.id, place), &name, "it is missing").await?,
                Err(error) => {
                    storage.failed(&error);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn plan_demotion(
        &self,
        cache: &Cache,
        from: &CacheStorage,
        files: &[&NarRecord],
    ) -> Result<Vec<Task>, CatalogError> {
        let taken = self.places_with_something(files).await?;
        let (storages, durable) = (cache.storages(), cache.durable_storages());
        let tier = from.config().tier;
        let place = |nar: &NarRecord| {
            let taken = &taken[&nar.id];
            let lacks_durable = !durable.is_empty() && !taken.iter().any(|place| durable.contains(place));
            let takes = |storage: &CacheStorage| {
                storage.config().tier > tier
                    && !taken.contains(&storage.id)
                    && (!lacks_durable || durable.contains(&storage.id))
            };
            storages.reserve_among(nar.file_size, tier.saturating_add(1), false, takes).ok()
        };
        let planned: Vec<_> = files.iter().filter_map(|nar| Some((*nar, place(nar)?))).collect();
        self.claim(cache, planned).await
    }

    /// Copies files that were read from a slow tier to a faster one: where there is room to spare, or where files that were not used
    /// since can make way.
    pub async fn promote(
        &self,
        cache: &Arc<Cache>,
        wanted: &[Promotion],
        stop: &CancellationToken,
    ) -> Result<u64, CatalogError> {
        let mut planned = Vec::new();
        let mut files = Vec::new();
        for promotion in wanted {
            let found = self.catalog.find_nar(cache.id, &promotion.file).await?;
            files.extend(found.filter(|nar| !nar.damaged).map(|nar| (nar, promotion.read_before)));
        }
        let taken = self.places_with_something(&files.iter().map(|(nar, _)| nar).collect::<Vec<_>>()).await?;
        for (nar, read_before) in &files {
            let targets = cache.storages().promoting(&taken[&nar.id]);
            let mut reserved = targets.iter().find_map(|to| reserve_spare(cache, to, nar.file_size));
            if let (None, Some(since), Some(to)) = (&reserved, read_before, targets.first())
                && self.displace(cache, to, nar.file_size, *since, stop).await?
            {
                reserved = reserve_spare(cache, to, nar.file_size);
            }
            planned.extend(reserved.map(|reserved| (nar, reserved)));
        }
        let tasks = self.claim(cache, planned).await?;
        reached("promote-claimed");
        let round = self.make_claimed(cache, tasks).await?;
        reached("promote-copied");
        PROMOTED.add(round.made);
        Ok(round.made)
    }

    /// Demotes files that were not used since a time, until a storage has room to spare for a file of `size` bytes. Returns whether it
    /// has.
    async fn displace(
        &self,
        cache: &Arc<Cache>,
        to: &Arc<CacheStorage>,
        size: u64,
        since: UnixTime,
        stop: &CancellationToken,
    ) -> Result<bool, CatalogError> {
        let Some(room) = cache.storages().room_on(to) else { return Ok(false) };
        let lacking = (room.of / 10).saturating_add(size).saturating_sub(room.left);
        let coldest = self.coldest(cache, to, since, CANDIDATES).await?;
        let mut freed = 0;
        let enough = coldest.iter().position(|file| {
            freed += file.nar.file_size;
            freed >= lacking
        });
        let Some(last) = enough else { return Ok(false) };
        self.demote(cache, to, &coldest[..=last], stop).await?;
        Ok(true)
    }

    /// Returns at most `limit` files on a storage that nobody has used since a time, those that were used first come first.
    pub async fn coldest(
        &self,
        cache: &Cache,
        storage: &CacheStorage,
        since: UnixTime,
        limit: u64,
    ) -> Result<Vec<UsedFile>, CatalogError> {
        let mut files = self.catalog.least_recently_used(storage.id, since, limit).await?;
        // Clients that know the narinfo read the NAR without a note in the catalog.
        files.retain(|file| cache.tiers.last_read(&file.nar.file_hash).is_none_or(|read| read.0 < since.0));
        Ok(files)
    }

    /// All storages on which something of these files lies or is about to.
    async fn places_with_something(
        &self,
        files: &[&NarRecord],
    ) -> Result<HashMap<NarId, Vec<StorageId>>, CatalogError> {
        let ids: Vec<NarId> = files.iter().map(|nar| nar.id).collect();
        let copies = self.catalog.copies_of(&ids).await?;
        let places = |nar: &&NarRecord| {
            let copies = copies.get(&nar.id).into_iter().flatten();
            (nar.id, copies.filter_map(|copy| copy.storage).chain([nar.storage]).collect())
        };
        Ok(files.iter().map(places).collect())
    }

    /// Claims copies for which room is reserved.
    async fn claim(
        &self,
        cache: &Cache,
        planned: Vec<(&NarRecord, (Reservation, Arc<CacheStorage>))>,
    ) -> Result<Vec<Task>, CatalogError> {
        let claims = planned.iter().map(|(nar, (_, to))| (nar.id, to.id)).collect();
        let claimed = self.catalog.claim_copies(claims, UnixTime::now()).await?;
        let tasks = claimed.into_iter().map(|wanted| (wanted.nar.id, wanted));
        let mut tasks: HashMap<NarId, _> = tasks.collect();
        let storages = cache.storages();
        let task = |(nar, (reservation, to)): (&NarRecord, (Reservation, Arc<CacheStorage>))| {
            let wanted = tasks.remove(&nar.id)?;
            let from = wanted.sources.iter().filter_map(|id| storages.get(*id)).filter(|from| counts(from));
            let from = from.cloned().collect();
            let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
            Some(Task { wanted, name, to, reservation: Some(reservation), from })
        };
        Ok(planned.into_iter().filter_map(task).collect())
    }
}

/// Whether a storage gives what it has at the moment, and is to keep it.
fn counts(storage: &CacheStorage) -> bool {
    !storage.liveness.is_lost() && !storage.config().draining
}

/// Reserves room for a copy that only readers want, of what is not left to pushes.
fn reserve_spare(
    cache: &Cache,
    to: &Arc<CacheStorage>,
    size: u64,
) -> Option<(Reservation, Arc<CacheStorage>)> {
    let storages = cache.storages();
    if storages.room_on(to).is_some_and(|room| !room.takes(size)) {
        return None;
    }
    if let Some(most) = cache.config().max_size {
        let all: u64 = storages.snapshot().iter().map(|one| one.used + one.by_products + one.reserved).sum();
        // A collection begins when less than a twentieth is left.
        if all.saturating_add(size) > most - most / 10 {
            return None;
        }
    }
    storages.reserve_among(size, to.config().tier, true, |storage| storage.id == to.id).ok()
}
