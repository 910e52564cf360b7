//! Removal of dead paths from their cache.

use std::collections::{HashMap, HashSet};

use nix_formats::{FileHash, StorePathHash};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
};

use super::IN_LIST;
use super::census::GcPath;
use super::holds::pinned;
use super::nars::only_trashed;
use crate::deploy::held_by_agents;
use crate::elsewhere::needed_by_sisters;
use crate::entity::field::{Field, stored};
use crate::entity::{nar, reference, store_path, tombstone};
use crate::paths::all_with_nar;
use crate::storages::Storages;
use crate::writer::Written;
use crate::{
    CacheId, Catalog, CatalogChange, CatalogError, NarId, PathChange, PathId, UnixTime, closures, copies,
    trash,
};

/// A batch of dead paths to remove from their cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneBatch {
    /// The cache.
    pub cache: CacheId,
    /// The paths: a batch of a [`crate::Census`], after the batches before it.
    pub paths: Vec<GcPath>,
    /// Paths that were created or used since then are alive.
    pub unused_since: UnixTime,
    /// Paths that pins protect at this time are alive.
    pub now: UnixTime,
    /// Whether the paths stay in the trash for a while.
    pub trash: bool,
}

/// The outcome for a batch of dead paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TombstoneOutcome {
    /// Paths that were removed from the cache. Their files are still to be removed.
    pub tombstoned: Vec<StorePathHash>,
    /// The NAR files of these.
    pub files: Vec<FileHash>,
    /// The size of the files that stay only because the trash needs them, in bytes.
    pub trashed_bytes: u64,
    /// Paths that are alive after all, and visible.
    pub alive: Vec<StorePathHash>,
}

pub(super) type Row = (store_path::Model, nar::Model);

impl Catalog {
    /// Removes paths from their cache unless something has revived them since the census: a use, a pin, or a path that refers
    /// to them. Leaves a tombstone for each.
    pub async fn tombstone_paths(&self, batch: TombstoneBatch) -> Result<TombstoneOutcome, CatalogError> {
        self.write(batch, |transaction, batch| Box::pin(tombstone(transaction, batch))).await
    }
}

async fn tombstone(
    transaction: &DatabaseTransaction,
    batch: &TombstoneBatch,
) -> Result<Written<TombstoneOutcome>, CatalogError> {
    let found = load(transaction, batch).await?;
    let storages = Storages::of(transaction, batch.cache).await?;
    let hashes: Vec<_> = found.iter().map(|(path, _)| *path.hash).collect();
    let pinned = pinned(transaction, batch.cache, &hashes, batch.now).await?;
    let deployed = held_by_agents(transaction, batch.cache, Some(&hashes)).await?;
    let sisters = needed_by_sisters(transaction, batch.cache, Some(&hashes)).await?;
    let is_alive = |(path, nar): &Row| {
        path.created_at >= batch.unused_since
            || path.last_used_at >= batch.unused_since
            || pinned.contains(&path.hash)
            || deployed.contains_key(&path.hash)
            || sisters.contains_key(&path.hash)
            || !storages.is_enabled(nar.storage)
    };
    let ids: Vec<PathId> = found.iter().map(|(path, _)| path.id).collect();
    let mut alive: HashSet<StorePathHash> =
        referred_from_outside(transaction, batch.cache, &ids, &hashes).await?;
    alive.extend(found.iter().filter(|row| is_alive(row)).map(|(path, _)| *path.hash));
    if !alive.is_empty() {
        revive_targets(transaction, &found, &mut alive).await?;
    }

    let mut outcome = TombstoneOutcome::default();
    let mut dead = Vec::new();
    for (path, nar) in found {
        let hash = *path.hash;
        if !alive.contains(&hash) {
            outcome.tombstoned.push(hash);
            outcome.files.push(*nar.file_hash);
            dead.push((path, nar));
        } else if !nar.damaged && storages.is_enabled(nar.storage) {
            outcome.alive.push(hash);
        }
    }
    outcome.trashed_bytes = remove(transaction, batch.cache, &dead, batch.trash.then_some(batch.now)).await?;
    let changes = outcome.tombstoned.iter().map(|&path| CatalogChange::Path {
        cache: batch.cache,
        path,
        change: PathChange::Removed,
    });
    let changes = changes.collect();
    Ok(Written::with_changes(outcome, changes))
}

/// Returns the paths that still exist. A path that was healed since the census has another row.
async fn load(transaction: &DatabaseTransaction, batch: &TombstoneBatch) -> Result<Vec<Row>, CatalogError> {
    let mut found = Vec::with_capacity(batch.paths.len());
    for some in batch.paths.chunks(IN_LIST) {
        let query = store_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(store_path::Column::Id.is_in(some.iter().map(|path| path.id)));
        let rows = all_with_nar(transaction, query).await?;
        // By ids alone: with a condition on the cache, SQLite would read all of its paths.
        let of_cache = rows.into_iter().filter(|(path, _)| path.cache == batch.cache);
        found.extend(of_cache.filter_map(|(path, nar)| Some((path, nar?))));
    }
    Ok(found)
}

/// Returns the hashes to which other paths of the cache refer. Paths that did so at the time of the census were tombstoned
/// before, or are alive.
async fn referred_from_outside(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    ids: &[PathId],
    hashes: &[StorePathHash],
) -> Result<HashSet<StorePathHash>, CatalogError> {
    let inside: HashSet<PathId> = ids.iter().copied().collect();
    let mut found = HashSet::new();
    for some in hashes.chunks(IN_LIST) {
        let mut query = reference::Entity::find()
            .select_only()
            .columns([reference::Column::Hash, reference::Column::Path])
            .join(JoinType::InnerJoin, reference::Relation::StorePath.def())
            // Prevents the index: SQLite would start with all paths of the cache.
            .filter(store_path::Column::Cache.into_expr().add(0).eq(cache))
            .filter(reference::Column::Hash.is_in(some.iter().map(stored)));
        if ids.len() <= IN_LIST {
            query = query.filter(reference::Column::Path.is_not_in(ids.iter().copied()));
        }
        let referring: Vec<(Field<reference::Entity, StorePathHash>, PathId)> =
            query.into_tuple().all(transaction).await?;
        found.extend(referring.into_iter().filter(|(_, path)| !inside.contains(path)).map(|(hash, _)| *hash));
    }
    Ok(found)
}

/// Adds everything that the living paths refer to.
async fn revive_targets(
    transaction: &DatabaseTransaction,
    found: &[Row],
    alive: &mut HashSet<StorePathHash>,
) -> Result<(), CatalogError> {
    let by_hash: HashMap<StorePathHash, PathId> =
        found.iter().map(|(path, _)| (*path.hash, path.id)).collect();
    let mut new: Vec<PathId> = alive.iter().filter_map(|hash| by_hash.get(hash).copied()).collect();
    while !new.is_empty() {
        let mut next = Vec::new();
        for some in new.chunks(IN_LIST) {
            let targets: Vec<Field<reference::Entity, StorePathHash>> = reference::Entity::find()
                .select_only()
                .column(reference::Column::Hash)
                .filter(reference::Column::Path.is_in(some.iter().copied()))
                .into_tuple()
                .all(transaction)
                .await?;
            for target in targets {
                if let Some(&path) = by_hash.get(&*target)
                    && alive.insert(*target)
                {
                    next.push(path);
                }
            }
        }
        new = next;
    }
    Ok(())
}

/// Deletes the rows and leaves tombstones. Puts the paths into the trash if there is a time for that. Returns the size of the
/// files that only the trash needs now.
pub(super) async fn remove(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    dead: &[Row],
    trashed_at: Option<UnixTime>,
) -> Result<u64, CatalogError> {
    if let Some(now) = trashed_at {
        trash::put(transaction, cache, dead, now).await?;
    }
    for some in dead.chunks(IN_LIST) {
        let nars: Vec<NarId> = some.iter().map(|(_, nar)| nar.id).collect();
        let places = copies::other_places(transaction, &nars).await?;
        let tombstones = some.iter().map(|(path, nar)| tombstone::ActiveModel {
            id: ActiveValue::NotSet,
            cache: ActiveValue::Set(cache),
            storage: ActiveValue::Set(nar.storage),
            hash: ActiveValue::Set((*path.hash).into()),
            nar: ActiveValue::Set(nar.id),
            deriver: ActiveValue::Set(path.deriver.clone()),
        });
        let beside_copies = some.iter().flat_map(|(path, nar)| {
            let storages = places.get(&nar.id).into_iter().flatten();
            storages.map(|storage| tombstone::ActiveModel {
                id: ActiveValue::NotSet,
                cache: ActiveValue::Set(cache),
                storage: ActiveValue::Set(*storage),
                hash: ActiveValue::Set((*path.hash).into()),
                // A storage that does not answer must not keep the file on the others.
                nar: ActiveValue::Set(NarId(0)),
                deriver: ActiveValue::Set(path.deriver.clone()),
            })
        });
        let all: Vec<_> = tombstones.chain(beside_copies).collect();
        for some in all.chunks(IN_LIST) {
            tombstone::Entity::insert_many(some.to_vec()).exec_without_returning(transaction).await?;
        }
        // References and entries in the list of unpublished paths are deleted with the row. An expired pin stays: its number
        // must not be reused, and operators can still list it.
        store_path::Entity::delete_many()
            .filter(store_path::Column::Id.is_in(some.iter().map(|(path, _)| path.id)))
            .exec(transaction)
            .await?;
    }
    // Whatever needs one of them goes as well, if not in this batch.
    closures::lost(transaction, cache, dead.iter().map(|(path, _)| *path.hash).collect()).await?;
    if trashed_at.is_none() {
        return Ok(0);
    }
    let nars: HashSet<NarId> = dead.iter().filter(|(_, nar)| !nar.damaged).map(|(_, nar)| nar.id).collect();
    only_trashed(transaction, &Vec::from_iter(nars)).await
}
