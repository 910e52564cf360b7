//! Removal of a path from its cache on request, whatever its age.

use std::collections::HashSet;

use nix_formats::{StorePath, StorePathHash};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait, Select,
};

use super::IN_LIST;
use super::holds::pins_on;
use super::tombstone_paths::{Row, remove};
use super::tombstones::Tombstone;
use crate::deploy::held_by_agents;
use crate::elsewhere::needed_by_sisters;
use crate::entity::field::{Field, stored};
use crate::entity::values;
use crate::entity::{nar, reference, store_path, tombstone};
use crate::paths::{all_with_nar, find_with_nar};
use crate::storages::Storages;
use crate::writer::Written;
use crate::{
    CacheId, Catalog, CatalogChange, CatalogError, NarRecord, PathChange, PathId, PinRecord, StorageId,
    UnixTime,
};

/// The most referring paths that are named.
const NAMED: u64 = 5;
/// The most paths that are deleted at once. Other writes wait meanwhile.
const MOST: usize = if cfg!(test) { 20 } else { 10_000 };

/// A request to delete a path from its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The cache.
    pub cache: CacheId,
    /// The path.
    pub path: StorePathHash,
    /// Whether to delete the paths that refer to it, directly or not, as well.
    pub recursive: bool,
    /// The time at which pins are evaluated.
    pub now: UnixTime,
    /// Whether the paths stay in the trash for a while.
    pub trash: bool,
}

/// The outcome of a deletion. Only [`Deleted::Done`] changes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// These paths were deleted, including the requested one.
    Done {
        /// The paths.
        paths: Vec<DeletedPath>,
        /// The size of the files that stay only because the trash needs them, in bytes.
        trashed_bytes: u64,
    },
    /// The cache does not have it.
    Unknown,
    /// Other paths refer to it.
    Needed {
        /// Some of them.
        by: Vec<StorePath>,
        /// How many there are.
        count: u64,
    },
    /// These pins protect it, or a path that would be deleted with it.
    Pinned(Vec<PinRecord>),
    /// A deploy agent needs it, or a path that would be deleted with it.
    Deployed {
        /// The path that the agent needs.
        path: StorePath,
        /// The name of the agent.
        agent: String,
    },
    /// A closure of another cache of this daemon needs it, or a path that would be deleted with it.
    NeededElsewhere {
        /// The path that is needed.
        path: StorePath,
        /// The name of the cache.
        cache: String,
    },
    /// More than so many paths would be deleted with it.
    TooMany(usize),
    /// It, or a path that would be deleted with it, is on this storage, which is disabled.
    OutOfUse(StorageId),
}

/// A deleted path and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedPath {
    /// The path.
    pub path: StorePath,
    /// The tombstone for the files beside its NAR.
    pub tombstone: Tombstone,
    /// Its file, which other paths may need.
    pub nar: NarRecord,
}

impl Catalog {
    /// Deletes a path from its cache, whatever its age, and leaves a tombstone. Refuses if another path refers to it, or if a
    /// pin or an agent protects it.
    pub async fn delete_path(&self, deletion: Deletion) -> Result<Deleted, CatalogError> {
        self.write(deletion, |transaction, deletion| Box::pin(delete(transaction, deletion))).await
    }
}

async fn delete(
    transaction: &DatabaseTransaction,
    deletion: &Deletion,
) -> Result<Written<Deleted>, CatalogError> {
    let cache = deletion.cache;
    let found = find_with_nar(transaction, cache, &deletion.path).await?;
    let Some((path, Some(nar))) = found else { return Ok(Written::quietly(Deleted::Unknown)) };
    let mut going = vec![(path, nar)];
    if deletion.recursive {
        if let Err(most) = add_referring(transaction, cache, &mut going).await? {
            return Ok(Written::quietly(Deleted::TooMany(most)));
        }
    } else if let Some(needed) = needed(transaction, cache, &going[0].0).await? {
        return Ok(Written::quietly(needed));
    }
    let storages = Storages::of(transaction, cache).await?;
    if let Some((_, nar)) = going.iter().find(|(_, nar)| !storages.is_enabled(nar.storage)) {
        return Ok(Written::quietly(Deleted::OutOfUse(nar.storage)));
    }
    let hashes: Vec<StorePathHash> = going.iter().map(|(path, _)| *path.hash).collect();
    let mut pins = pins_on(transaction, cache, &hashes, deletion.now).await?;
    let wanted: HashSet<StorePathHash> = hashes.iter().copied().collect();
    pins.retain(|pin| wanted.contains(pin.path.hash()));
    if !pins.is_empty() {
        return Ok(Written::quietly(Deleted::Pinned(pins)));
    }
    let deployed = held_by_agents(transaction, cache, Some(&hashes)).await?;
    for (path, _) in &going {
        if let Some(agent) = deployed.get(&path.hash) {
            let path = path_of(path)?;
            return Ok(Written::quietly(Deleted::Deployed { path, agent: agent.clone() }));
        }
    }
    let sisters = needed_by_sisters(transaction, cache, Some(&hashes)).await?;
    for (path, _) in &going {
        if let Some(name) = sisters.get(&path.hash) {
            let path = path_of(path)?;
            return Ok(Written::quietly(Deleted::NeededElsewhere { path, cache: name.clone() }));
        }
    }
    let trashed_bytes = remove(transaction, cache, &going, deletion.trash.then_some(deletion.now)).await?;
    let deleted = describe(transaction, going).await?;
    let changes = deleted.iter().map(|deleted| CatalogChange::Path {
        cache,
        path: *deleted.path.hash(),
        change: PathChange::Removed,
    });
    let changes = changes.collect();
    Ok(Written::with_changes(Deleted::Done { paths: deleted, trashed_bytes }, changes))
}

/// Returns the references of paths of the cache to any of these hashes.
fn references_to(cache: CacheId, hashes: &[StorePathHash]) -> Select<reference::Entity> {
    reference::Entity::find()
        .join(JoinType::InnerJoin, reference::Relation::StorePath.def())
        // Prevents the index: SQLite would start with all paths of the cache.
        .filter(store_path::Column::Cache.into_expr().add(0).eq(cache))
        .filter(reference::Column::Hash.is_in(hashes.iter().map(stored)))
}

/// Returns the paths that refer to a path, apart from itself.
async fn needed(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    path: &store_path::Model,
) -> Result<Option<Deleted>, CatalogError> {
    let referring = references_to(cache, &[*path.hash])
        .filter(reference::Column::Path.ne(path.id))
        .select_only()
        .columns([store_path::Column::Hash, store_path::Column::Name])
        .distinct();
    let count = referring
        .clone()
        .into_tuple::<(Field<store_path::Entity, StorePathHash>, String)>()
        .count(transaction)
        .await?;
    if count == 0 {
        return Ok(None);
    }
    let some: Vec<(Field<store_path::Entity, StorePathHash>, String)> = referring
        .order_by_asc(store_path::Column::Name)
        .order_by_asc(store_path::Column::Hash)
        .limit(NAMED)
        .into_tuple()
        .all(transaction)
        .await?;
    let by =
        some.into_iter().map(|(hash, name)| values::store_path::<store_path::Entity>("name", *hash, &name));
    Ok(Some(Deleted::Needed { by: by.collect::<Result<_, _>>()?, count }))
}

/// Adds all paths that refer to those in the list, directly or not. Returns an error if there are too many.
async fn add_referring(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    going: &mut Vec<Row>,
) -> Result<Result<(), usize>, CatalogError> {
    let mut known: HashSet<PathId> = going.iter().map(|(path, _)| path.id).collect();
    let mut begin = 0;
    while begin < going.len() {
        let end = going.len().min(begin + IN_LIST);
        let hashes: Vec<StorePathHash> = going[begin..end].iter().map(|(path, _)| *path.hash).collect();
        begin = end;
        let mut referring: Vec<PathId> = references_to(cache, &hashes)
            .select_only()
            .column(reference::Column::Path)
            .distinct()
            .limit(MOST as u64 + 1)
            .into_tuple()
            .all(transaction)
            .await?;
        referring.retain(|path| known.insert(*path));
        if known.len() > MOST {
            return Ok(Err(MOST));
        }
        for some in referring.chunks(IN_LIST) {
            let query = store_path::Entity::find()
                .find_also_related(nar::Entity)
                .filter(store_path::Column::Id.is_in(some.iter().copied()));
            let rows = all_with_nar(transaction, query).await?;
            going.extend(rows.into_iter().filter_map(|(path, nar)| Some((path, nar?))));
        }
    }
    Ok(Ok(()))
}

/// Pairs the removed paths with their tombstones.
async fn describe(
    transaction: &DatabaseTransaction,
    gone: Vec<Row>,
) -> Result<Vec<DeletedPath>, CatalogError> {
    let mut deleted = Vec::with_capacity(gone.len());
    for some in gone.chunks(IN_LIST) {
        let tombstones = tombstone::Entity::find()
            .filter(tombstone::Column::Nar.is_in(some.iter().map(|(_, nar)| nar.id)))
            // The newest of each path last: earlier ones may be waiting for a storage that does not answer.
            .order_by_asc(tombstone::Column::Id)
            .all(transaction)
            .await?;
        for (path, nar) in some {
            let row = tombstones.iter().rfind(|row| row.nar == nar.id && *row.hash == *path.hash);
            let row = row.cloned().ok_or_else(|| {
                let found = "nothing, within the transaction that had written it";
                CatalogError::corrupt::<tombstone::Entity>("nar", found)
            })?;
            deleted.push(DeletedPath {
                path: path_of(path)?,
                tombstone: row.into(),
                nar: nar.clone().into(),
            });
        }
    }
    Ok(deleted)
}

fn path_of(row: &store_path::Model) -> Result<StorePath, CatalogError> {
    values::store_path::<store_path::Entity>("name", *row.hash, &row.name)
}
