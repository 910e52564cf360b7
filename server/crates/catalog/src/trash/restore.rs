//! Restoring a path from the trash, with its closure as far as that is in the trash too.

use std::collections::{HashMap, HashSet};

use nix_formats::{StorePath, StorePathHash};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::{IN_LIST, take_out};
use crate::entity::field::{Field, Joined, stored};
use crate::entity::{nar, store_path, trashed_path, values};
use crate::paths::{find_with_nar, insert_references, insert_unpublished, present_of};
use crate::storages::Storages;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, PathChange, StorageId, UnixTime, closures};

/// The outcome of restoring a path. Only [`Restored::Done`] changes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The path is visible again.
    Done {
        /// The restored paths, the requested one first.
        paths: Vec<StorePath>,
        /// References of these that are neither in the cache nor in the trash. Clients may find them elsewhere.
        missing: Vec<StorePath>,
    },
    /// It is not in the trash, and the cache does not have it either.
    Unknown,
    /// It is not in the trash, because the cache has it.
    Present,
    /// Its NAR file is missing or changed.
    Damaged,
    /// Its NAR file is on this storage, which is disabled.
    OutOfUse(StorageId),
}

type Row = (trashed_path::Model, nar::Model);

impl Catalog {
    /// Makes a trashed path visible again, with every path that it refers to, directly or not, and that is in the trash too.
    /// Restoring counts as a use. Durable when this returns.
    pub async fn restore_path(
        &self,
        cache: CacheId,
        path: StorePathHash,
        now: UnixTime,
    ) -> Result<Restored, CatalogError> {
        self.write((cache, path, now), |transaction, (cache, path, now)| {
            Box::pin(restore(transaction, *cache, *path, *now))
        })
        .await
    }
}

async fn restore(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    path: StorePathHash,
    now: UnixTime,
) -> Result<Written<Restored>, CatalogError> {
    let storages = Storages::of(transaction, cache).await?;
    let Some((row, nar)) = find(transaction, cache, &[path]).await?.pop() else {
        let known = find_with_nar(transaction, cache, &path).await?;
        return Ok(Written::quietly(if known.is_some() { Restored::Present } else { Restored::Unknown }));
    };
    if nar.damaged {
        return Ok(Written::quietly(Restored::Damaged));
    }
    if !storages.is_enabled(nar.storage) {
        return Ok(Written::quietly(Restored::OutOfUse(nar.storage)));
    }
    let (found, missing) = closure(transaction, cache, &storages, (row, nar)).await?;
    let mut paths = Vec::with_capacity(found.len());
    let mut ids = Vec::with_capacity(found.len());
    let mut hashes = Vec::with_capacity(found.len());
    for (row, references) in found {
        hashes.push(*row.hash);
        paths.push(values::store_path::<trashed_path::Entity>("name", *row.hash, &row.name)?);
        let inserted = store_path::ActiveModel {
            id: ActiveValue::NotSet,
            cache: ActiveValue::Set(cache),
            hash: ActiveValue::Set((*row.hash).into()),
            name: ActiveValue::Set(row.name),
            nar: ActiveValue::Set(row.nar),
            deriver: ActiveValue::Set(row.deriver),
            ca: ActiveValue::Set(row.ca),
            signatures: ActiveValue::Set(row.signatures.into_inner().into()),
            created_at: ActiveValue::Set(row.created_at),
            last_used_at: ActiveValue::Set(now),
            pushed_by: ActiveValue::Set(row.pushed_by),
            missing_reference: ActiveValue::Set(None),
        };
        let inserted = inserted.insert(transaction).await?;
        insert_references(transaction, inserted.id, &references).await?;
        ids.push(inserted.id);
    }
    insert_unpublished(transaction, &ids).await?;
    take_out(transaction, cache, &hashes).await?;
    closures::settle(transaction, cache, &hashes).await?;
    let changes = hashes
        .into_iter()
        .map(|path| CatalogChange::Path { cache, path, change: PathChange::Inserted })
        .collect();
    Ok(Written::with_changes(Restored::Done { paths, missing }, changes))
}

/// Returns the path and what of its closure can be restored, with the references of each, and what of it is nowhere.
async fn closure(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    storages: &Storages,
    root: Row,
) -> Result<(Vec<(trashed_path::Model, Vec<StorePath>)>, Vec<StorePath>), CatalogError> {
    let mut seen = HashSet::from([*root.0.hash]);
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let mut level = vec![root.0];
    while !level.is_empty() {
        let mut targets = HashMap::new();
        for row in std::mem::take(&mut level) {
            let references = references(&row)?;
            targets.extend(
                references
                    .iter()
                    .filter(|target| seen.insert(*target.hash()))
                    .map(|target| (*target.hash(), target.clone())),
            );
            found.push((row, references));
        }
        let hashes: Vec<StorePathHash> = targets.keys().copied().collect();
        for present in present_of(transaction, cache, &hashes).await? {
            targets.remove(&present);
        }
        let absent: Vec<StorePathHash> = targets.keys().copied().collect();
        for (row, nar) in find(transaction, cache, &absent).await? {
            if !nar.damaged && storages.is_enabled(nar.storage) {
                targets.remove(&*row.hash);
                level.push(row);
            }
        }
        missing.extend(targets.into_values());
    }
    missing.sort_unstable_by_key(StorePath::base_name);
    Ok((found, missing))
}

async fn find(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    hashes: &[StorePathHash],
) -> Result<Vec<Row>, CatalogError> {
    let mut found = Vec::new();
    for some in hashes.chunks(IN_LIST) {
        let rows = trashed_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(trashed_path::Column::Cache.eq(cache))
            .filter(trashed_path::Column::Hash.is_in(some.iter().map(stored)))
            .into_model::<trashed_path::Model, Joined<nar::Model>>()
            .all(transaction)
            .await?;
        found.extend(rows.into_iter().filter_map(|(row, nar)| Some((row, nar?.0))));
    }
    Ok(found)
}

fn references(row: &trashed_path::Model) -> Result<Vec<StorePath>, CatalogError> {
    let names: &Field<trashed_path::Entity, Vec<String>> = &row.reference_names;
    let parse = |name: &String| {
        StorePath::from_base_name(name).map_err(|_| {
            CatalogError::corrupt::<trashed_path::Entity>("reference_names", format_args!("{name:?}"))
        })
    };
    names.iter().map(parse).collect()
}
