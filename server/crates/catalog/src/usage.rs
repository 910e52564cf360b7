//! How much there is. Counted when asked, from indexes that hold all that is needed, so that no counter can drift from the
//! rows: about a tenth of a second per million paths.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, JoinType, PaginatorTrait, QueryFilter, QuerySelect,
    RelationTrait,
};

use crate::entity::values::Count;
use crate::entity::{nar, storage, store_path};
use crate::storages::Storages;
use crate::{CacheId, Catalog, CatalogError, StorageId};

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Visible store paths.
    pub paths: u64,
    /// Store paths that are hidden because their NAR file is damaged or lies on a storage that is not enabled.
    pub hidden_paths: u64,
    /// NAR files that are not damaged, on storages that are enabled or not.
    pub nars: u64,
    /// Size of those files, in bytes.
    pub file_bytes: u64,
    /// Size of the NARs inside, in bytes.
    pub nar_bytes: u64,
}

/// What lies on a storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageStats {
    /// NAR files, damaged ones included.
    pub nars: u64,
    /// Their size, in bytes: the same as [`Catalog::storage_used`].
    pub file_bytes: u64,
    /// Those of the files that are known to be damaged.
    pub damaged_nars: u64,
    /// Store paths that are hidden because their file is one of these and damaged; all, if the storage is not enabled.
    pub hidden_paths: u64,
}

impl Catalog {
    /// What a cache holds. Reads two indexes from end to end.
    pub async fn cache_stats(&self, cache: CacheId) -> Result<CacheStats, CatalogError> {
        let storages = Storages::of(self.readers(), cache).await?;
        let paths = store_path::Entity::find()
            .filter(store_path::Column::Cache.eq(cache))
            .count(self.readers())
            .await?;
        let hidden_paths = self.count_paths(storages.hiding()).await?;
        let sums: Option<(i64, Option<i64>, Option<i64>)> = nar::Entity::find()
            .select_only()
            .expr(nar::Column::Storage.count())
            .expr(sum(nar::Column::FileSize))
            .expr(sum(nar::Column::NarSize))
            .filter(nar::Column::Storage.is_in(storages.all()))
            .filter(nar::Column::Damaged.eq(false))
            .into_tuple()
            .one(self.readers())
            .await?;
        let (nars, file_bytes, nar_bytes) = sums.unwrap_or_default();
        Ok(CacheStats {
            // The counts are separate reads.
            paths: paths.saturating_sub(hidden_paths),
            hidden_paths,
            nars: Count::of_sum::<nar::Entity>("count", nars)?,
            file_bytes: Count::of_sum::<nar::Entity>("file_size", file_bytes.unwrap_or(0))?,
            nar_bytes: Count::of_sum::<nar::Entity>("nar_size", nar_bytes.unwrap_or(0))?,
        })
    }

    /// What lies on a storage. Reads the parts of two indexes that belong to it, or to what is hidden there.
    pub async fn storage_stats(&self, storage: StorageId) -> Result<StorageStats, CatalogError> {
        let by_damage: Vec<(bool, i64, i64)> = nar::Entity::find()
            .select_only()
            .column(nar::Column::Damaged)
            .expr(nar::Column::Storage.count())
            .expr(sum(nar::Column::FileSize))
            .filter(nar::Column::Storage.eq(storage))
            .group_by(nar::Column::Damaged)
            .into_tuple()
            .all(self.readers())
            .await?;
        let mut stats = StorageStats::default();
        for (damaged, nars, bytes) in by_damage {
            let nars = Count::of_sum::<nar::Entity>("count", nars)?;
            stats.nars += nars;
            stats.file_bytes += Count::of_sum::<nar::Entity>("file_size", bytes)?;
            stats.damaged_nars += if damaged { nars } else { 0 };
        }
        let row = storage::Entity::find_by_id(storage).one(self.readers()).await?;
        let mut hiding = Condition::all().add(nar::Column::Storage.eq(storage));
        if row.is_some_and(|row| row.enabled) {
            hiding = hiding.add(nar::Column::Damaged.eq(true));
        }
        stats.hidden_paths = self.count_paths(hiding).await?;
        Ok(stats)
    }

    /// How many paths have a NAR file of which this holds.
    async fn count_paths(&self, nars: Condition) -> Result<u64, CatalogError> {
        let count = store_path::Entity::find()
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(nars)
            .count(self.readers())
            .await?;
        Ok(count)
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
        Count::of_sum::<nar::Entity>("file_size", used.flatten().unwrap_or(0))
    }
}

/// A sum as a 64-bit integer; PostgreSQL would make it a decimal number.
pub(crate) fn sum(column: nar::Column) -> Expr {
    column.sum().cast_as("bigint")
}
