//! Sizes and counts. They are computed from covering indexes on request, so that no counter can drift from the rows. A million
//! paths take about a tenth of a second.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, JoinType, PaginatorTrait, QueryFilter, QuerySelect,
    RelationTrait,
};
use uuid::Uuid;

use crate::entity::values::Count;
use crate::entity::{nar, storage, store_path};
use crate::storages::Storages;
use crate::{CacheId, Catalog, CatalogError, StorageId, UnixTime};

/// The contents of a cache in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Visible store paths.
    pub paths: u64,
    /// Store paths that are hidden because their NAR file is damaged or on a disabled storage.
    pub hidden_paths: u64,
    /// Undamaged NAR files on enabled and disabled storages.
    pub nars: u64,
    /// Size of those files, in bytes.
    pub file_bytes: u64,
    /// Size of the NARs inside, in bytes.
    pub nar_bytes: u64,
}

/// Sums over undamaged NAR files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NarSums {
    /// How many there are.
    pub nars: u64,
    /// Their size in bytes.
    pub file_bytes: u64,
    /// The size of the NARs inside, in bytes.
    pub nar_bytes: u64,
}

/// The contents of a storage in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageStats {
    /// NAR files, including damaged ones.
    pub nars: u64,
    /// Their size in bytes, as [`Catalog::storage_used`] returns it.
    pub file_bytes: u64,
    /// How many of the files are known to be damaged.
    pub damaged_nars: u64,
    /// Store paths that are hidden because their file is damaged; all paths if the storage is disabled.
    pub hidden_paths: u64,
}

impl Catalog {
    /// Returns the contents of a cache in numbers. Reads two indexes from end to end.
    pub async fn cache_stats(&self, cache: CacheId) -> Result<CacheStats, CatalogError> {
        let storages = Storages::of(self.readers(), cache).await?;
        let paths = store_path::Entity::find()
            .filter(store_path::Column::Cache.eq(cache))
            .count(self.readers())
            .await?;
        let hidden_paths = self.count_paths(storages.hiding()).await?;
        let NarSums { nars, file_bytes, nar_bytes } = self.sums_of(&storages).await?;
        Ok(CacheStats {
            // The counts are separate reads.
            paths: paths.saturating_sub(hidden_paths),
            hidden_paths,
            nars,
            file_bytes,
            nar_bytes,
        })
    }

    /// Returns the sums over the NAR files of a cache, as [`Catalog::cache_stats`] has them. Reads one index from end to end.
    pub async fn nar_sums(&self, cache: CacheId) -> Result<NarSums, CatalogError> {
        self.sums_of(&Storages::of(self.readers(), cache).await?).await
    }

    async fn sums_of(&self, storages: &Storages) -> Result<NarSums, CatalogError> {
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
        Ok(NarSums {
            nars: Count::of_sum::<nar::Entity>("count", nars)?,
            file_bytes: Count::of_sum::<nar::Entity>("file_size", file_bytes.unwrap_or(0))?,
            nar_bytes: Count::of_sum::<nar::Entity>("nar_size", nar_bytes.unwrap_or(0))?,
        })
    }

    /// Returns the contents of a storage in numbers. Reads the entries of the storage in two indexes.
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

    /// Returns the size of the NAR files of the paths that were pushed with a token since some time, in bytes. Reads the rows of all
    /// paths.
    pub async fn pushed_since(&self, token: Uuid, since: UnixTime) -> Result<u64, CatalogError> {
        let pushed: Option<Option<i64>> = store_path::Entity::find()
            .select_only()
            .expr(sum(nar::Column::FileSize))
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(store_path::Column::PushedBy.eq(token.to_string()))
            .filter(store_path::Column::CreatedAt.gte(since))
            .into_tuple()
            .one(self.readers())
            .await?;
        Count::of_sum::<nar::Entity>("file_size", pushed.flatten().unwrap_or(0))
    }

    /// Counts the paths whose NAR file matches the condition.
    async fn count_paths(&self, nars: Condition) -> Result<u64, CatalogError> {
        let count = store_path::Entity::find()
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(nars)
            .count(self.readers())
            .await?;
        Ok(count)
    }

    /// Returns the size of all NAR files on a storage in bytes, further copies included. Damaged files count, because they may still take space. Reads
    /// the entries of the storage in one index: call it at the start and keep a running total, not once per push.
    pub async fn storage_used(&self, storage: StorageId) -> Result<u64, CatalogError> {
        let used: Option<Option<i64>> = nar::Entity::find()
            .select_only()
            .expr(sum(nar::Column::FileSize))
            .filter(nar::Column::Storage.eq(storage))
            .into_tuple()
            .one(self.readers())
            .await?;
        let homes = Count::of_sum::<nar::Entity>("file_size", used.flatten().unwrap_or(0))?;
        Ok(homes + self.storage_copies(storage).await?.bytes)
    }
}

/// Returns a sum as a 64-bit integer; PostgreSQL would return a decimal.
pub(crate) fn sum(column: nar::Column) -> Expr {
    column.sum().cast_as("bigint")
}
