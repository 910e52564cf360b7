//! Which paths still need their files beside the NAR written.
//!
//! A path is committed when its NAR is durable. Its narinfo and listing beside the NAR are made from the catalog afterwards
//! and need not be waited for: a path stays on this list until they are known to be on disk, so a crash loses none.

use std::collections::HashMap;

use nix_formats::StorePathHash;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter,
    QueryOrder, QuerySelect, RelationTrait,
};

use super::PathRecord;
use super::load::{self, IN_LIST};
use crate::entity::field::stored;
use crate::entity::{nar, store_path, unpublished_path};
use crate::storages::{Storages, disabled_storages};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, PathId, PublishTicket};

/// A path whose files beside the NAR are to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpublishedPath {
    /// Its place on the list, until something about the path changes.
    pub ticket: PublishTicket,
    /// The cache it belongs to.
    pub cache: CacheId,
    /// What the files are to say, and where they belong.
    pub path: PathRecord,
}

impl Catalog {
    /// Paths whose files beside the NAR are to be written, in the order in which they were put on the list, starting behind
    /// `after`. At most `limit`; none means that there are no more. Hidden paths wait until they are healed or their
    /// storage is enabled.
    pub async fn unpublished(
        &self,
        after: Option<PublishTicket>,
        limit: u64,
    ) -> Result<Vec<UnpublishedPath>, CatalogError> {
        let mut after = after.unwrap_or(PublishTicket(0));
        loop {
            // The tickets first: what changes from here on makes new ones.
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
            // Those that were healed meanwhile are on the list again, further back.
            if !unpublished.is_empty() {
                return Ok(unpublished);
            }
        }
    }

    /// Notes that the files beside the NAR of these paths are on disk. A path about which something changed since it was
    /// read from the list has another ticket and stays on it.
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

    /// Puts those of the paths that are visible on the list again, as their files beside the NAR were found missing or
    /// wrong. Returns how many there are.
    pub async fn mark_unpublished(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<u64, CatalogError> {
        let mut count = 0;
        for some in paths.chunks(IN_LIST) {
            // One command each, so that many do not hold up a commit.
            count += self
                .write((cache, some.to_vec()), |transaction, (cache, paths)| {
                    Box::pin(mark_unpublished(transaction, *cache, paths))
                })
                .await?;
        }
        Ok(count)
    }
}

/// The records of paths, with their caches. A path that is not there any more is left out.
async fn paths_by_id(
    connection: &impl ConnectionTrait,
    ids: &[PathId],
) -> Result<HashMap<PathId, (CacheId, PathRecord)>, CatalogError> {
    let mut paths = HashMap::with_capacity(ids.len());
    for some in ids.chunks(IN_LIST) {
        let found = store_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(store_path::Column::Id.is_in(some.iter().copied()))
            .all(connection)
            .await?;
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

/// Puts paths on the list that are not there.
pub(super) async fn insert(transaction: &DatabaseTransaction, paths: &[PathId]) -> Result<(), CatalogError> {
    for some in paths.chunks(IN_LIST) {
        let rows = some.iter().map(|&path| unpublished_path::ActiveModel {
            id: ActiveValue::NotSet,
            path: ActiveValue::Set(path),
        });
        unpublished_path::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Puts paths on the list that may be there, with new tickets: whoever is writing their files now writes old ones.
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
