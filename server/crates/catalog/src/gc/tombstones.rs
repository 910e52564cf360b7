//! The tombstones of removed paths.

use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::IN_LIST;
use crate::entity::field::{Field, stored};
use crate::entity::tombstone;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, StorageId, TombstoneId};

/// A path that was removed from its cache and whose files beside the NAR are still to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its row.
    pub id: TombstoneId,
    /// The cache that had the path.
    pub cache: CacheId,
    /// The storage of the files.
    pub storage: StorageId,
    /// The path.
    pub hash: StorePathHash,
}

impl Catalog {
    /// Returns at most `limit` tombstones of a storage after `after`, in the order of their ids. Fewer than `limit` means that
    /// there are no more for now.
    pub async fn tombstones(
        &self,
        storage: StorageId,
        after: Option<TombstoneId>,
        limit: u64,
    ) -> Result<Vec<Tombstone>, CatalogError> {
        let rows = tombstone::Entity::find()
            .filter(tombstone::Column::Storage.eq(storage))
            .filter(tombstone::Column::Id.gt(after.unwrap_or(TombstoneId(0))))
            .order_by_asc(tombstone::Column::Id)
            .limit(limit)
            .all(self.readers())
            .await?;
        Ok(rows.into_iter().map(Tombstone::from).collect())
    }

    /// Returns the number of tombstones of a storage.
    pub async fn count_tombstones(&self, storage: StorageId) -> Result<u64, CatalogError> {
        let count = tombstone::Entity::find().filter(tombstone::Column::Storage.eq(storage));
        Ok(count.count(self.readers()).await?)
    }

    /// Returns those of the paths that have a tombstone in the cache.
    pub async fn tombstoned(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<Vec<StorePathHash>, CatalogError> {
        let mut found = Vec::new();
        for some in paths.chunks(IN_LIST) {
            let hashes: Vec<Field<tombstone::Entity, StorePathHash>> = tombstone::Entity::find()
                .select_only()
                .column(tombstone::Column::Hash)
                .filter(tombstone::Column::Cache.eq(cache))
                .filter(tombstone::Column::Hash.is_in(some.iter().map(stored)))
                .into_tuple()
                .all(self.readers())
                .await?;
            found.extend(hashes.into_iter().map(Field::into_inner));
        }
        Ok(found)
    }

    /// Deletes tombstones whose files beside the NAR are removed.
    pub async fn remove_tombstones(&self, tombstones: Vec<TombstoneId>) -> Result<(), CatalogError> {
        self.write(tombstones, |transaction, tombstones| {
            Box::pin(async move {
                for some in tombstones.chunks(IN_LIST) {
                    tombstone::Entity::delete_many()
                        .filter(tombstone::Column::Id.is_in(some.iter().copied()))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

impl From<tombstone::Model> for Tombstone {
    fn from(row: tombstone::Model) -> Self {
        Self { id: row.id, cache: row.cache, storage: row.storage, hash: *row.hash }
    }
}
