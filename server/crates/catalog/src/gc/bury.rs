//! Taking dead paths out of the cache.

use std::collections::{HashMap, HashSet};

use nix_formats::StorePathHash;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
};

use super::IN_LIST;
use super::census::GcPath;
use super::holds::pinned;
use crate::deploy::held_by_agents;
use crate::entity::field::{Field, stored};
use crate::entity::{nar, reference, store_path, tombstone};
use crate::storages::Storages;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, PathChange, PathId, UnixTime};

/// Dead paths, to be taken out of their cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burial {
    /// The cache.
    pub cache: CacheId,
    /// The paths: a batch of a [`crate::Census`], after the batches before it.
    pub paths: Vec<GcPath>,
    /// What was made or used since then is not dead.
    pub unused_since: UnixTime,
    /// What pins hold at this time is not dead.
    pub now: UnixTime,
}

/// What became of dead paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buried {
    /// They are gone from the cache, and their files are to be removed.
    pub buried: Vec<StorePathHash>,
    /// They are alive after all, and visible.
    pub alive: Vec<StorePathHash>,
}

pub(super) type Row = (store_path::Model, nar::Model);

impl Catalog {
    /// Takes paths out of their cache, unless something has brought them back to life since the census: a use, a pin, a
    /// path that refers to them. Leaves a tombstone for each.
    pub async fn bury(&self, burial: Burial) -> Result<Buried, CatalogError> {
        self.write(burial, |transaction, burial| Box::pin(bury(transaction, burial))).await
    }
}

async fn bury(transaction: &DatabaseTransaction, burial: &Burial) -> Result<Written<Buried>, CatalogError> {
    let found = load(transaction, burial).await?;
    let storages = Storages::of(transaction, burial.cache).await?;
    let hashes: Vec<_> = found.iter().map(|(path, _)| *path.hash).collect();
    let pinned = pinned(transaction, burial.cache, &hashes, burial.now).await?;
    let deployed = held_by_agents(transaction, burial.cache, Some(&hashes)).await?;
    let is_alive = |(path, nar): &Row| {
        path.created_at >= burial.unused_since
            || path.last_used_at >= burial.unused_since
            || pinned.contains(&path.hash)
            || deployed.contains_key(&path.hash)
            || !storages.is_enabled(nar.storage)
    };
    let ids: Vec<PathId> = found.iter().map(|(path, _)| path.id).collect();
    let mut alive: HashSet<StorePathHash> =
        referred_from_outside(transaction, burial.cache, &ids, &hashes).await?;
    alive.extend(found.iter().filter(|row| is_alive(row)).map(|(path, _)| *path.hash));
    if !alive.is_empty() {
        revive_targets(transaction, &found, &mut alive).await?;
    }

    let mut outcome = Buried::default();
    let mut dead = Vec::new();
    for (path, nar) in found {
        let hash = *path.hash;
        if !alive.contains(&hash) {
            outcome.buried.push(hash);
            dead.push((path, nar));
        } else if !nar.damaged && storages.is_enabled(nar.storage) {
            outcome.alive.push(hash);
        }
    }
    remove(transaction, burial.cache, &dead).await?;
    let changes = outcome.buried.iter().map(|&path| CatalogChange::Path {
        cache: burial.cache,
        path,
        change: PathChange::Removed,
    });
    let changes = changes.collect();
    Ok(Written::with_changes(outcome, changes))
}

/// Those that are still there. A path that was healed since is another row.
async fn load(transaction: &DatabaseTransaction, burial: &Burial) -> Result<Vec<Row>, CatalogError> {
    let mut found = Vec::with_capacity(burial.paths.len());
    for some in burial.paths.chunks(IN_LIST) {
        let rows = store_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(store_path::Column::Id.is_in(some.iter().map(|path| path.id)))
            .all(transaction)
            .await?;
        // By rows alone: asked for the cache as well, SQLite would read all paths of it.
        let of_cache = rows.into_iter().filter(|(path, _)| path.cache == burial.cache);
        found.extend(of_cache.filter_map(|(path, nar)| Some((path, nar?))));
    }
    Ok(found)
}

/// Those of the hashes that paths of the cache other than these refer to. What did so at the time of the census was buried
/// before, or is alive.
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
            // Not by an index: SQLite would begin with all paths of the cache.
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

/// Adds all that those alive refer to.
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

/// Deletes the rows and leaves tombstones.
pub(super) async fn remove(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    dead: &[Row],
) -> Result<(), CatalogError> {
    for some in dead.chunks(IN_LIST) {
        let tombstones = some.iter().map(|(path, nar)| tombstone::ActiveModel {
            id: ActiveValue::NotSet,
            cache: ActiveValue::Set(cache),
            storage: ActiveValue::Set(nar.storage),
            hash: ActiveValue::Set((*path.hash).into()),
            nar: ActiveValue::Set(nar.id),
        });
        tombstone::Entity::insert_many(tombstones).exec_without_returning(transaction).await?;
        // References and the place on the list of unpublished paths go with it. A pin that holds no more stays: its number
        // must not be used again, and who lists pins sees what they were.
        store_path::Entity::delete_many()
            .filter(store_path::Column::Id.is_in(some.iter().map(|(path, _)| path.id)))
            .exec(transaction)
            .await?;
    }
    Ok(())
}
