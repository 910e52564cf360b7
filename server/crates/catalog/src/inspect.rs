//! Views of the contents of a cache for operators: by path, by size and by age.

use std::collections::HashMap;

use nix_formats::{StorePath, StorePathHash};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait, Select,
};

use crate::entity::field::{Field, stored};
use crate::entity::values::{self, Count};
use crate::entity::{nar, store_path};
use crate::{CacheId, Catalog, CatalogError, PathId, StorageId, UnixTime};

/// The most values in one `IN (…)`. Databases limit the parameters of a statement.
const IN_LIST: usize = 1000;

/// A store path in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathLine {
    /// The store path.
    pub path: StorePath,
    /// The storage of its NAR file.
    pub storage: StorageId,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// Size of the NAR inside, in bytes.
    pub nar_size: u64,
    /// When it was committed.
    pub created_at: UnixTime,
    /// When it was last used, as far as uses are recorded.
    pub last_used_at: UnixTime,
    /// Whether it is hidden because its file is missing or changed.
    pub damaged: bool,
}

/// The paths last used within a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathTotals {
    /// The number of paths.
    pub paths: u64,
    /// The size of their files in bytes. A shared file counts once per path.
    pub bytes: u64,
}

#[derive(FromQueryResult)]
struct Row {
    id: PathId,
    hash: Field<store_path::Entity, StorePathHash>,
    name: String,
    storage: StorageId,
    file_size: Field<nar::Entity, Count>,
    nar_size: Field<nar::Entity, Count>,
    created_at: UnixTime,
    last_used_at: UnixTime,
    damaged: bool,
}

impl Catalog {
    /// Returns at most `limit` paths of a cache after `after`, in the byte order of their hashes, including hidden ones. Fewer
    /// than `limit` means that there are no more.
    pub async fn path_lines(
        &self,
        cache: CacheId,
        after: Option<StorePathHash>,
        limit: u64,
    ) -> Result<Vec<PathLine>, CatalogError> {
        let mut query = lines(cache).order_by_asc(store_path::Column::Hash).limit(limit);
        if let Some(after) = after {
            query = query.filter(store_path::Column::Hash.gt(stored(&after)));
        }
        self.read_lines(query).await
    }

    /// Returns paths by their rows. Those that no longer exist are left out.
    pub async fn paths_by_id(&self, ids: &[PathId]) -> Result<HashMap<PathId, StorePath>, CatalogError> {
        let mut paths = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IN_LIST) {
            let found: Vec<(PathId, Field<store_path::Entity, StorePathHash>, String)> =
                store_path::Entity::find()
                    .select_only()
                    .columns([store_path::Column::Id, store_path::Column::Hash, store_path::Column::Name])
                    .filter(store_path::Column::Id.is_in(some.iter().copied()))
                    .into_tuple()
                    .all(self.readers())
                    .await?;
            for (id, hash, name) in found {
                paths.insert(id, values::store_path::<store_path::Entity>("name", *hash, &name)?);
            }
        }
        Ok(paths)
    }

    /// Returns the paths of a cache with the largest files, largest first.
    pub async fn largest_paths(&self, cache: CacheId, limit: u64) -> Result<Vec<PathLine>, CatalogError> {
        let query = lines(cache)
            .order_by_desc(nar::Column::FileSize)
            .order_by_asc(store_path::Column::Hash)
            .limit(limit);
        self.read_lines(query).await
    }

    /// Returns how much of a cache was last used from `from` until before `to`. `None` means no limit.
    pub async fn path_totals(
        &self,
        cache: CacheId,
        from: Option<UnixTime>,
        to: Option<UnixTime>,
    ) -> Result<PathTotals, CatalogError> {
        let used = store_path::Column::LastUsedAt;
        let span =
            Condition::all().add_option(from.map(|from| used.gte(from))).add_option(to.map(|to| used.lt(to)));
        let totals: Option<(i64, Option<i64>)> = store_path::Entity::find()
            .select_only()
            .expr(store_path::Column::Id.count())
            .expr(crate::usage::sum(nar::Column::FileSize))
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(store_path::Column::Cache.eq(cache))
            .filter(span)
            .into_tuple()
            .one(self.readers())
            .await?;
        let (paths, bytes) = totals.unwrap_or_default();
        Ok(PathTotals {
            paths: Count::of_sum::<store_path::Entity>("id", paths)?,
            bytes: Count::of_sum::<nar::Entity>("file_size", bytes.unwrap_or(0))?,
        })
    }

    /// Returns the lines of paths by their rows.
    pub(crate) async fn lines_by_id(&self, ids: &[PathId]) -> Result<Vec<(PathId, PathLine)>, CatalogError> {
        let query = all_lines().filter(store_path::Column::Id.is_in(ids.iter().copied()));
        let found = query.into_model::<Row>().all(self.readers()).await?;
        found.into_iter().map(|row| Ok((row.id, row.try_into()?))).collect()
    }

    async fn read_lines(&self, query: Select<store_path::Entity>) -> Result<Vec<PathLine>, CatalogError> {
        let found = query.into_model::<Row>().all(self.readers()).await?;
        found.into_iter().map(PathLine::try_from).collect()
    }
}

/// Returns a query for the lines of all paths of a cache.
fn lines(cache: CacheId) -> Select<store_path::Entity> {
    all_lines().filter(store_path::Column::Cache.eq(cache))
}

/// Returns a query for the lines of all paths of all caches.
fn all_lines() -> Select<store_path::Entity> {
    store_path::Entity::find()
        .select_only()
        .columns([
            store_path::Column::Id,
            store_path::Column::Hash,
            store_path::Column::Name,
            store_path::Column::CreatedAt,
            store_path::Column::LastUsedAt,
        ])
        .columns([nar::Column::Storage, nar::Column::FileSize, nar::Column::NarSize, nar::Column::Damaged])
        .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
}

impl TryFrom<Row> for PathLine {
    type Error = CatalogError;

    fn try_from(row: Row) -> Result<Self, CatalogError> {
        Ok(Self {
            path: values::store_path::<store_path::Entity>("name", *row.hash, &row.name)?,
            storage: row.storage,
            file_size: row.file_size.get(),
            nar_size: row.nar_size.get(),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            damaged: row.damaged,
        })
    }
}
