//! What is left of buried paths in the storages.

use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::IN_LIST;
use crate::entity::tombstone;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, StorageId, TombstoneId};

/// A path that was taken out of its cache, and whose files beside the NAR are to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its row.
    pub id: TombstoneId,
    /// The cache that had the path.
    pub cache: CacheId,
    /// Where the files are.
    pub storage: StorageId,
    /// The path.
    pub hash: StorePathHash,
}

impl Catalog {
    /// Tombstones of paths whose files are on a storage, in the order of their ids, starting behind `after`. At most
    /// `limit`; fewer means that there are no more for now.
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

    /// How many tombstones of a storage there are.
    pub async fn count_tombstones(&self, storage: StorageId) -> Result<u64, CatalogError> {
        let count = tombstone::Entity::find().filter(tombstone::Column::Storage.eq(storage));
        Ok(count.count(self.readers()).await?)
    }

    /// Notes that nothing is left beside the NARs of these paths.
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
