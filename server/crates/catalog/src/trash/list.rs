//! What is in the trash.

use std::collections::HashSet;

use nix_formats::{StorePath, StorePathHash};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
};

use super::IN_LIST;
use crate::entity::field::{Field, stored};
use crate::entity::values::{self, Count};
use crate::entity::{nar, tombstone, trashed_path};
use crate::gc::paths_with_it;
use crate::{CacheId, Catalog, CatalogError, StorageId, TrashId, UnixTime};

/// A path in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedPath {
    /// Its row. Paths that were removed later have higher ids.
    pub id: TrashId,
    /// The store path.
    pub path: StorePath,
    /// The storage of its NAR file.
    pub storage: StorageId,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// When it was removed from its cache.
    pub trashed_at: UnixTime,
    /// Whether the file is missing or changed, so that the path cannot be restored.
    pub damaged: bool,
}

/// The trash on a storage in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashStats {
    /// The number of paths.
    pub paths: u64,
    /// The size of the NAR files that nothing but trashed paths needs, in bytes.
    pub bytes: u64,
}

#[derive(FromQueryResult)]
struct Row {
    id: TrashId,
    hash: Field<trashed_path::Entity, StorePathHash>,
    name: String,
    storage: StorageId,
    file_size: Field<nar::Entity, Count>,
    trashed_at: UnixTime,
    damaged: bool,
}

impl Catalog {
    /// Returns at most `limit` trashed paths of a cache after `after`, those that were removed first first. Fewer than `limit`
    /// means that there are no more.
    pub async fn trashed_paths(
        &self,
        cache: CacheId,
        after: Option<TrashId>,
        limit: u64,
    ) -> Result<Vec<TrashedPath>, CatalogError> {
        let rows = trashed_path::Entity::find()
            .select_only()
            .columns([
                trashed_path::Column::Id,
                trashed_path::Column::Hash,
                trashed_path::Column::Name,
                trashed_path::Column::TrashedAt,
            ])
            .columns([nar::Column::Storage, nar::Column::FileSize, nar::Column::Damaged])
            .join(JoinType::InnerJoin, trashed_path::Relation::Nar.def())
            .filter(trashed_path::Column::Cache.eq(cache))
            .filter(trashed_path::Column::Id.gt(after.unwrap_or(TrashId(0))))
            .order_by_asc(trashed_path::Column::Id)
            .limit(limit)
            .into_model::<Row>()
            .all(self.readers())
            .await?;
        rows.into_iter().map(TrashedPath::try_from).collect()
    }

    /// Returns those of the paths that were removed from a cache: they are in its trash, or files of them are still to be
    /// removed.
    pub async fn removed_of(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<HashSet<StorePathHash>, CatalogError> {
        let mut removed = HashSet::new();
        for some in paths.chunks(IN_LIST) {
            let trashed: Vec<Field<trashed_path::Entity, StorePathHash>> = trashed_path::Entity::find()
                .select_only()
                .column(trashed_path::Column::Hash)
                .filter(trashed_path::Column::Cache.eq(cache))
                .filter(trashed_path::Column::Hash.is_in(some.iter().map(stored)))
                .into_tuple()
                .all(self.readers())
                .await?;
            removed.extend(trashed.into_iter().map(Field::into_inner));
        }
        if paths.is_empty() {
            return Ok(removed);
        }
        // There are few, and no index by hash.
        let wanted: HashSet<&StorePathHash> = paths.iter().collect();
        let buried: Vec<Field<tombstone::Entity, StorePathHash>> = tombstone::Entity::find()
            .select_only()
            .column(tombstone::Column::Hash)
            .filter(tombstone::Column::Cache.eq(cache))
            .into_tuple()
            .all(self.readers())
            .await?;
        removed.extend(buried.into_iter().map(Field::into_inner).filter(|hash| wanted.contains(hash)));
        Ok(removed)
    }

    /// Returns the trash on a storage in numbers.
    pub async fn trash_stats(&self, storage: StorageId) -> Result<TrashStats, CatalogError> {
        let paths: Option<i64> = trashed_path::Entity::find()
            .select_only()
            .expr(trashed_path::Column::Id.count())
            .join(JoinType::InnerJoin, trashed_path::Relation::Nar.def())
            .filter(nar::Column::Storage.eq(storage))
            .into_tuple()
            .one(self.readers())
            .await?;
        let trashed = Query::select().column(trashed_path::Column::Nar).from(trashed_path::Entity).take();
        let bytes: Option<Option<i64>> = nar::Entity::find()
            .select_only()
            .expr(crate::usage::sum(nar::Column::FileSize))
            .filter(nar::Column::Id.in_subquery(trashed))
            .filter(nar::Column::Storage.into_expr().add(0).eq(storage))
            .filter(Expr::not_exists(paths_with_it()))
            .into_tuple()
            .one(self.readers())
            .await?;
        Ok(TrashStats {
            paths: Count::of_sum::<trashed_path::Entity>("id", paths.unwrap_or(0))?,
            bytes: Count::of_sum::<nar::Entity>("file_size", bytes.flatten().unwrap_or(0))?,
        })
    }
}

impl TryFrom<Row> for TrashedPath {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        Ok(Self {
            id: row.id,
            path: values::store_path::<trashed_path::Entity>("name", *row.hash, &row.name)?,
            storage: row.storage,
            file_size: row.file_size.get(),
            trashed_at: row.trashed_at,
            damaged: row.damaged,
        })
    }
}
