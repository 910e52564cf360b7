//! Moving NAR files between storages: what lies on one, and what happens when a file was copied to another.

use nix_formats::StorePathHash;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};

use super::claim::replace;
use super::{NarRecord, unpublished};
use crate::entity::nar;
use crate::storages::Storages;
use crate::writer::Written;
use crate::{Catalog, CatalogError, NarId, PathChange, StorageId};

/// What became of a NAR file that was to be recorded as moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It lies on the other storage now, and nothing refers to the old copy.
    Moved {
        /// The file, which is a new row: a report of damage that was found at the old place does not concern it.
        nar: NarId,
        /// The paths that need it, in the order of their rows.
        paths: Vec<StorePathHash>,
    },
    /// It was not there any more, or is damaged. Nothing was changed, and the copy is not needed.
    Gone,
}

impl Catalog {
    /// NAR files on a storage, damaged ones and such that no path needs included, in the order of their ids, starting behind
    /// `after`. At most `limit`; fewer means that there are no more for now: what is put on the storage later has a higher
    /// id.
    pub async fn nars_on(
        &self,
        storage: StorageId,
        after: Option<NarId>,
        limit: u64,
    ) -> Result<Vec<NarRecord>, CatalogError> {
        let mut query = nar::Entity::find().filter(nar::Column::Storage.eq(storage));
        if let Some(after) = after {
            query = query.filter(nar::Column::Id.gt(after));
        }
        let found = query.order_by_asc(nar::Column::Id).limit(limit).all(self.readers()).await?;
        Ok(found.into_iter().map(NarRecord::from).collect())
    }

    /// Records that a NAR file lies on another storage of its cache now, if it still is on this one and not damaged. The
    /// copy must be verified and durable. Its paths are put on the list of [`Catalog::unpublished`] paths, as their files
    /// beside the NAR belong on the new storage.
    ///
    /// # Errors
    ///
    /// [`CatalogError::StorageNotInUse`] if the other storage is not one of the cache, or not enabled.
    pub async fn move_nar(
        &self,
        nar: NarId,
        from: StorageId,
        to: StorageId,
    ) -> Result<MoveOutcome, CatalogError> {
        self.write((nar, from, to), |transaction, (nar, from, to)| {
            Box::pin(move_nar(transaction, *nar, *from, *to))
        })
        .await
    }
}

async fn move_nar(
    transaction: &DatabaseTransaction,
    nar: NarId,
    from: StorageId,
    to: StorageId,
) -> Result<Written<MoveOutcome>, CatalogError> {
    let found = nar::Entity::find_by_id(nar).one(transaction).await?;
    let Some(row) = found.filter(|row| row.storage == from && !row.damaged) else {
        return Ok(Written::quietly(MoveOutcome::Gone));
    };
    let storages = Storages::of(transaction, row.cache).await?;
    if !storages.is_enabled(to) {
        return Err(CatalogError::StorageNotInUse { storage: to });
    }
    let moved = nar::ActiveModel {
        id: ActiveValue::NotSet,
        storage: ActiveValue::Set(to),
        ..row.into_active_model().reset_all()
    };
    let (moved, paths) = replace(transaction, nar, moved).await?;
    let ids: Vec<_> = paths.iter().map(|path| path.id).collect();
    unpublished::insert_again(transaction, &ids).await?;
    let change = if storages.is_enabled(from) { PathChange::Updated } else { PathChange::Inserted };
    let changes = paths.iter().map(|path| path.change(change)).collect();
    let paths = paths.into_iter().map(|path| path.hash).collect();
    Ok(Written::with_changes(MoveOutcome::Moved { nar: moved.id, paths }, changes))
}
