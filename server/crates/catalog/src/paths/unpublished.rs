//! The list of paths whose files beside the NAR are still to be written.
//!
//! A path is committed when its NAR is durable. Its narinfo and listing are written from the catalog in the background. A path
//! stays on this list until they are known to be on disk, so a crash loses none.

use std::collections::HashMap;

use nix_formats::StorePathHash;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, RelationTrait,
};

use super::PathRecord;
use super::load::{self, IN_LIST};
use crate::entity::field::stored;
use crate::entity::{nar, store_path, unpublished_path};
use crate::storages::{Storages, disabled_storages};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, PathId, PublishTicket};

/// A path whose files beside the NAR are still to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpublishedPath {
    /// Its position in the list until the path changes.
    pub ticket: PublishTicket,
    /// The cache it belongs to.
    pub cache: CacheId,
    /// The contents and the storage of the files.
    pub path: PathRecord,
}

impl Catalog {
    /// Returns at most `limit` paths on the list after `after`, in the order in which they were added. An empty result means
    /// that there are no more. Hidden paths wait until they are healed or their storage is enabled.
    pub async fn unpublished(
        &self,
        after: Option<PublishTicket>,
        limit: u64,
    ) -> Result<Vec<UnpublishedPath>, CatalogError> {
        let mut after = after.unwrap_or(PublishTicket(0));
        loop {
            // The tickets first: later changes make new ones.
            let tickets: Vec<(PublishTicket, PathId)> = unpublished_path::Entity::find()
                .select_only()
                .columns([unpublished_path::Column::Id, unpublished_path::Column::Path])
                .join(JoinType::InnerJoin, unpublished_path::Relation::StorePath.def())
                .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
                .filter(unpublished_path::Column::Id.gt(after))
                .filter(nar::Column::Damaged.eq(false))
                // Asked the other way round, SQLite would begin with all files of the enabled ones.
                .filter(nar::Column::Storage.not_in_subquery(disabled_storages()))
                .order_by_asc(unpublished_path::Column::Id)
                .limit(limit)
                .into_tuple()
                .all(self.readers())
                .await?;
            let Some((last, _)) = tickets.last() else {
                return Ok(Vec::new());
            };
            after = *last;
            let ids: Vec<_> = tickets.iter().map(|(_, path)| *path).collect();
            let mut paths = paths_by_id(self.readers(), &ids).await?;
            let unpublished: Vec<_> = tickets
                .into_iter()
                .filter_map(|(ticket, id)| {
                    let (cache, path) = paths.remove(&id)?;
                    Some(UnpublishedPath { ticket, cache, path })
                })
                .collect();
            // Paths that were healed meanwhile are on the list again, further back.
            if !unpublished.is_empty() {
                return Ok(unpublished);
            }
        }
    }

    /// Counts the paths on the list, hidden ones included.
    pub async fn count_unpublished(&self) -> Result<u64, CatalogError> {
        Ok(unpublished_path::Entity::find().count(self.readers()).await?)
    }

    /// Removes paths from the list whose files beside the NAR are on disk. A path that changed since it was read from the list
    /// has another ticket and stays.
    pub async fn mark_published(&self, tickets: Vec<PublishTicket>) -> Result<(), CatalogError> {
        self.write(tickets, |transaction, tickets| {
            Box::pin(async move {
                for some in tickets.chunks(IN_LIST) {
                    unpublished_path::Entity::delete_many()
                        .filter(unpublished_path::Column::Id.is_in(some.iter().copied()))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Adds the visible ones of these paths to the list again, because their files beside the NAR are missing or wrong.
    /// Returns how many were added.
    pub async fn mark_unpublished(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<u64, CatalogError> {
        let mut count = 0;
        for some in paths.chunks(IN_LIST) {
            // One command each, so that a long list does not delay a commit.
            count += self
                .write((cache, some.to_vec()), |transaction, (cache, paths)| {
                    Box::pin(mark_unpublished(transaction, *cache, paths))
                })
                .await?;
        }
        Ok(count)
    }
}

/// Returns the records of paths with their caches. Paths that no longer exist are left out.
async fn paths_by_id(
    connection: &impl ConnectionTrait,
    ids: &[PathId],
) -> Result<HashMap<PathId, (CacheId, PathRecord)>, CatalogError> {
    let mut paths = HashMap::with_capacity(ids.len());
    for some in ids.chunks(IN_LIST) {
        let query = store_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(store_path::Column::Id.is_in(some.iter().copied()));
        let found = load::all_with_nar(connection, query).await?;
        let caches: Vec<_> = found.iter().map(|(row, _)| row.cache).collect();
        let records = load::records(connection, found).await?;
        let there = caches.into_iter().zip(records).filter_map(|(cache, record)| Some((cache, record?)));
        paths.extend(there.map(|(cache, record)| (record.id, (cache, record))));
    }
    Ok(paths)
}

async fn mark_unpublished(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    paths: &[StorePathHash],
) -> Result<Written<u64>, CatalogError> {
    let storages = Storages::of(transaction, cache).await?;
    let visible: Vec<PathId> = store_path::Entity::find()
        .select_only()
        .column(store_path::Column::Id)
        .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
        .filter(store_path::Column::Cache.eq(cache))
        .filter(store_path::Column::Hash.is_in(paths.iter().map(stored)))
        .filter(storages.showing())
        .order_by_asc(store_path::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    insert_again(transaction, &visible).await?;
    Ok(Written::quietly(visible.len() as u64))
}

/// Adds paths that are not on the list.
pub(crate) async fn insert(transaction: &DatabaseTransaction, paths: &[PathId]) -> Result<(), CatalogError> {
    for some in paths.chunks(IN_LIST) {
        let rows = some.iter().map(|&path| unpublished_path::ActiveModel {
            id: ActiveValue::NotSet,
            path: ActiveValue::Set(path),
        });
        unpublished_path::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Adds paths that may be on the list already, with new tickets: files that are being written now are outdated.
pub(super) async fn insert_again(
    transaction: &DatabaseTransaction,
    paths: &[PathId],
) -> Result<(), CatalogError> {
    for some in paths.chunks(IN_LIST) {
        unpublished_path::Entity::delete_many()
            .filter(unpublished_path::Column::Path.is_in(some.iter().copied()))
            .exec(transaction)
            .await?;
    }
    insert(transaction, paths).await
}
