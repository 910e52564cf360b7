//! Loading of paths with their files and references.

use std::collections::HashMap;

use nix_formats::{FileHash, StorePath, StorePathHash};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
    SelectTwo,
};

use super::{NarRecord, PathRecord};
use crate::entity::field::{Field, Joined, stored};
use crate::entity::values;
use crate::entity::{nar, reference, store_path};
use crate::storages::Storages;
use crate::{CacheId, CatalogChange, CatalogError, NarId, PathChange, PathId};

/// The most values in one `IN (…)` or `VALUES`. Databases limit the parameters of a statement.
pub(super) const IN_LIST: usize = 1000;

/// A row of `store_path` with its row of `nar`. The foreign key guarantees that there is one, but the type of the join cannot
/// express that.
pub(crate) type PathRow = (store_path::Model, Option<nar::Model>);

/// Runs a query for paths with their files.
pub(crate) async fn all_with_nar(
    connection: &impl ConnectionTrait,
    query: SelectTwo<store_path::Entity, nar::Entity>,
) -> Result<Vec<PathRow>, CatalogError> {
    let found = query.into_model::<store_path::Model, Joined<nar::Model>>().all(connection).await?;
    Ok(found.into_iter().map(|(path, nar)| (path, nar.map(|nar| nar.0))).collect())
}

pub(crate) async fn find_with_nar(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    hash: &StorePathHash,
) -> Result<Option<PathRow>, CatalogError> {
    let query = store_path::Entity::find()
        .find_also_related(nar::Entity)
        .filter(store_path::Column::Cache.eq(cache))
        .filter(store_path::Column::Hash.eq(stored(hash)))
        .limit(1);
    Ok(all_with_nar(connection, query).await?.pop())
}

/// Finds a path that is not hidden.
pub(crate) async fn find_visible(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    hash: &StorePathHash,
) -> Result<Option<store_path::Model>, CatalogError> {
    let Some((path, Some(nar))) = find_with_nar(connection, cache, hash).await? else {
        return Ok(None);
    };
    let visible = !nar.damaged && Storages::of(connection, cache).await?.is_enabled(nar.storage);
    Ok(visible.then_some(path))
}

/// Returns those of the paths that the cache has, hidden or not.
pub(crate) async fn present_of(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    hashes: &[StorePathHash],
) -> Result<Vec<StorePathHash>, CatalogError> {
    let mut present = Vec::new();
    for some in hashes.chunks(IN_LIST) {
        let found: Vec<Field<store_path::Entity, StorePathHash>> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::Hash.is_in(some.iter().map(stored)))
            .into_tuple()
            .all(connection)
            .await?;
        present.extend(found.into_iter().map(Field::into_inner));
    }
    Ok(present)
}

pub(super) async fn find_nar(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    file_hash: &FileHash,
) -> Result<Option<NarRecord>, CatalogError> {
    let row = nar::Entity::find()
        .filter(nar::Column::Cache.eq(cache))
        .filter(nar::Column::FileHash.eq(stored(file_hash)))
        .one(connection)
        .await?;
    Ok(row.map(NarRecord::from))
}

/// The identity of a path.
pub(crate) struct PathKey {
    pub(super) id: PathId,
    pub(super) cache: CacheId,
    pub(crate) hash: StorePathHash,
}

impl PathKey {
    pub(crate) fn change(&self, change: PathChange) -> CatalogChange {
        CatalogChange::Path { cache: self.cache, path: self.hash, change }
    }
}

/// Returns all paths that need a NAR file, in the order of their rows.
pub(crate) async fn paths_of(
    connection: &impl ConnectionTrait,
    nar: NarId,
) -> Result<Vec<PathKey>, CatalogError> {
    let paths: Vec<(PathId, CacheId, Field<store_path::Entity, StorePathHash>)> = store_path::Entity::find()
        .select_only()
        .columns([store_path::Column::Id, store_path::Column::Cache, store_path::Column::Hash])
        .filter(store_path::Column::Nar.eq(nar))
        .order_by_asc(store_path::Column::Id)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(paths.into_iter().map(|(id, cache, hash)| PathKey { id, cache, hash: *hash }).collect())
}

/// Returns the record of a row, `None` if the row was replaced since it was read: read it again.
pub(super) async fn record(
    connection: &impl ConnectionTrait,
    row: PathRow,
) -> Result<Option<PathRecord>, CatalogError> {
    Ok(records(connection, vec![row]).await?.pop().flatten())
}

/// Returns the records of rows in the same order, `None` for a row that was replaced since it was read.
pub(super) async fn records(
    connection: &impl ConnectionTrait,
    found: Vec<PathRow>,
) -> Result<Vec<Option<PathRecord>>, CatalogError> {
    let ids: Vec<_> = found.iter().map(|(row, _)| row.id).collect();
    let mut references = references_of(connection, &ids).await?;
    found
        .into_iter()
        .map(|row| references.remove(&row.0.id).map(|references| path_record(row, references)).transpose())
        .collect()
}

/// A path and one of its references, hash and name; a path without references has one row with neither.
type ReferenceRow = (PathId, Option<Field<reference::Entity, StorePathHash>>, Option<String>);

/// Returns the references of paths, each in order. Each path whose row still exists has an entry, even without references: one
/// statement reads the row and its references, so that they are consistent.
pub(crate) async fn references_of(
    connection: &impl ConnectionTrait,
    ids: &[PathId],
) -> Result<HashMap<PathId, Vec<StorePath>>, CatalogError> {
    let mut references: HashMap<PathId, Vec<StorePath>> = HashMap::new();
    for some in ids.chunks(IN_LIST) {
        let found: Vec<ReferenceRow> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Id)
            .columns([reference::Column::Hash, reference::Column::Name])
            .join(JoinType::LeftJoin, store_path::Relation::Reference.def())
            .filter(store_path::Column::Id.is_in(some.iter().copied()))
            .order_by_asc(store_path::Column::Id)
            .order_by_asc(reference::Column::Position)
            .into_tuple()
            .all(connection)
            .await?;
        for (path, hash, name) in found {
            let of_path = references.entry(path).or_default();
            if let (Some(hash), Some(name)) = (hash, name) {
                of_path.push(values::store_path::<reference::Entity>("name", *hash, &name)?);
            }
        }
    }
    Ok(references)
}

fn path_record((row, nar): PathRow, references: Vec<StorePath>) -> Result<PathRecord, CatalogError> {
    let nar = nar.ok_or_else(|| {
        CatalogError::corrupt::<store_path::Entity>("nar", "the id of a row that does not exist")
    })?;
    Ok(PathRecord {
        id: row.id,
        path: values::store_path::<store_path::Entity>("name", *row.hash, &row.name)?,
        nar: nar.into(),
        references,
        deriver: row.deriver,
        ca: row.ca,
        signatures: row.signatures.into_inner().into_vec(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        pushed_by: row.pushed_by,
        missing_reference: row.missing_reference.map(Field::into_inner),
    })
}

impl From<nar::Model> for NarRecord {
    fn from(row: nar::Model) -> Self {
        Self {
            id: row.id,
            storage: row.storage,
            file_hash: *row.file_hash,
            compression: *row.compression,
            file_size: row.file_size.get(),
            nar_hash: *row.nar_hash,
            nar_size: row.nar_size.get(),
            damaged: row.damaged,
        }
    }
}
