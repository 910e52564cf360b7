//! How much there is. Counted when asked, from indexes that hold all that is needed, so that no counter can drift from the
//! rows: about a tenth of a second per million paths.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, JoinType, PaginatorTrait, QueryFilter, QuerySelect, RelationTrait,
};

use crate::caches::storages_of;
use crate::entity::{nar, store_path};
use crate::{CacheId, Catalog, CatalogError, StorageId, rows};

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Visible store paths.
    pub paths: u64,
    /// Store paths that are hidden because their NAR file is damaged.
    pub hidden_paths: u64,
    /// NAR files that are not damaged.
    pub nars: u64,
    /// Size of those files, in bytes.
    pub file_bytes: u64,
    /// Size of the NARs inside, in bytes.
    pub nar_bytes: u64,
}

impl Catalog {
    /// What a cache holds. Reads two indexes from end to end.
    pub async fn cache_stats(&self, cache: CacheId) -> Result<CacheStats, CatalogError> {
        let paths = store_path::Entity::find()
            .filter(store_path::Column::Cache.eq(cache))
            .count(self.readers())
            .await?;
        let hidden_paths = store_path::Entity::find()
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(nar::Column::Storage.in_subquery(storages_of(cache)))
            .filter(nar::Column::Damaged.eq(true))
            .count(self.readers())
            .await?;
        let sums: Option<(i64, Option<i64>, Option<i64>)> = nar::Entity::find()
            .select_only()
            .expr(nar::Column::Storage.count())
            .expr(sum(nar::Column::FileSize))
            .expr(sum(nar::Column::NarSize))
            .filter(nar::Column::Storage.in_subquery(storages_of(cache)))
            .filter(nar::Column::Damaged.eq(false))
            .into_tuple()
            .one(self.readers())
            .await?;
        let (nars, file_bytes, nar_bytes) = sums.unwrap_or_default();
        Ok(CacheStats {
            // The counts are separate reads.
            paths: paths.saturating_sub(hidden_paths),
            hidden_paths,
            nars: rows::unsigned("nar", "count", nars)?,
            file_bytes: rows::unsigned("nar", "file_size", file_bytes.unwrap_or(0))?,
            nar_bytes: rows::unsigned("nar", "nar_size", nar_bytes.unwrap_or(0))?,
        })
    }

    /// Size of all NAR files in a storage, in bytes. Damaged files count, as they may still take their room. Reads the part
    /// of one index that belongs to the storage: ask at the start and keep a running figure, not once per push.
    pub async fn storage_used(&self, storage: StorageId) -> Result<u64, CatalogError> {
        let used: Option<Option<i64>> = nar::Entity::find()
            .select_only()
            .expr(sum(nar::Column::FileSize))
            .filter(nar::Column::Storage.eq(storage))
            .into_tuple()
            .one(self.readers())
            .await?;
        rows::unsigned("nar", "file_size", used.flatten().unwrap_or(0))
    }
}

/// A sum as a 64-bit integer; PostgreSQL would make it a decimal number.
fn sum(column: nar::Column) -> Expr {
    column.sum().cast_as("bigint")
}
