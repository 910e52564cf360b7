//! The tombstones of removed paths.

use std::collections::HashSet;

use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::IN_LIST;
use crate::entity::field::{Field, stored};
use crate::entity::{store_path, tombstone, trashed_path};
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

    /// Returns the derivations that made the paths of these tombstones, by their base names.
    pub async fn derivers_of_tombstones(
        &self,
        tombstones: &[TombstoneId],
    ) -> Result<Vec<String>, CatalogError> {
        let mut derivers = Vec::new();
        for some in tombstones.chunks(IN_LIST) {
            let found: Vec<Option<String>> = tombstone::Entity::find()
                .select_only()
                .column(tombstone::Column::Deriver)
                .distinct()
                .filter(tombstone::Column::Id.is_in(some.iter().copied()))
                .into_tuple()
                .all(self.readers())
                .await?;
            derivers.extend(found.into_iter().flatten());
        }
        Ok(derivers)
    }

    /// Returns those of the derivations that made none of the paths of a cache, those in its trash included. Reads all paths of
    /// the cache.
    pub async fn derivers_without_paths(
        &self,
        cache: CacheId,
        derivers: Vec<String>,
    ) -> Result<Vec<String>, CatalogError> {
        let mut wanted: HashSet<String> = derivers.into_iter().collect();
        let all: Vec<String> = wanted.iter().cloned().collect();
        for some in all.chunks(IN_LIST) {
            let paths: Vec<Option<String>> = store_path::Entity::find()
                .select_only()
                .column(store_path::Column::Deriver)
                .distinct()
                .filter(store_path::Column::Cache.eq(cache))
                .filter(store_path::Column::Deriver.is_in(some.iter().cloned()))
                .into_tuple()
                .all(self.readers())
                .await?;
            let trashed: Vec<Option<String>> = trashed_path::Entity::find()
                .select_only()
                .column(trashed_path::Column::Deriver)
                .distinct()
                .filter(trashed_path::Column::Cache.eq(cache))
                .filter(trashed_path::Column::Deriver.is_in(some.iter().cloned()))
                .into_tuple()
                .all(self.readers())
                .await?;
            for deriver in paths.into_iter().chain(trashed).flatten() {
                wanted.remove(&deriver);
            }
        }
        Ok(wanted.into_iter().collect())
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
