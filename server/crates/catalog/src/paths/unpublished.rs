//! Which paths still need their files beside the NAR written.
//!
//! A path is committed when its NAR is durable. Its narinfo and listing beside the NAR are made from the catalog afterwards
//! and need not be waited for: a path stays on this list until they are known to be on disk, so a crash loses none.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait,
};

use super::PathRecord;
use super::load::{self, IN_LIST};
use crate::entity::{nar, store_path, unpublished_path};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, PathId};

impl Catalog {
    /// Paths whose files beside the NAR are to be written, oldest first, at most `limit`. Hidden paths wait until they are
    /// healed.
    pub async fn unpublished(&self, limit: u64) -> Result<Vec<(CacheId, PathRecord)>, CatalogError> {
        let found = store_path::Entity::find()
            .join(JoinType::InnerJoin, store_path::Relation::UnpublishedPath.def())
            .find_also_related(nar::Entity)
            .filter(nar::Column::Damaged.eq(false))
            .order_by_asc(unpublished_path::Column::Path)
            .limit(limit)
            .all(self.readers())
            .await?;
        let caches: Vec<_> = found.iter().map(|(row, _)| row.cache).collect();
        let records = load::records(self.readers(), found).await?;
        // One that was healed while it was read is on the list under its new id.
        Ok(caches.into_iter().zip(records).filter_map(|(cache, record)| Some((cache, record?))).collect())
    }

    /// Notes that the files beside the NAR of these paths are on disk. A path that was healed since has another id and
    /// stays on the list.
    pub async fn mark_published(&self, paths: Vec<PathId>) -> Result<(), CatalogError> {
        self.write(paths, |transaction, paths| {
            Box::pin(async move {
                for some in paths.chunks(IN_LIST) {
                    unpublished_path::Entity::delete_many()
                        .filter(unpublished_path::Column::Path.is_in(some.iter().copied()))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

/// Puts a path on the list, if it is not there.
pub(super) async fn insert(transaction: &DatabaseTransaction, path: PathId) -> Result<(), CatalogError> {
    unpublished_path::Entity::insert(unpublished_path::ActiveModel { path: ActiveValue::Set(path) })
        .on_conflict(OnConflict::column(unpublished_path::Column::Path).do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}
