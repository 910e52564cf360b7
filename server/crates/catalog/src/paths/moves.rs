//! Moves of NAR files between storages.

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
use crate::{Catalog, CatalogError, NarId, PathChange, StorageId, closures};

/// The outcome of recording a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// The file is on the other storage now, and nothing refers to the old copy.
    Moved {
        /// The new row of the file: a report of damage at the old place does not concern it.
        nar: NarId,
        /// The paths that need it, in the order of their rows.
        paths: Vec<StorePathHash>,
    },
    /// The file was not on the first storage any more, or is damaged. Nothing changed, and the copy is not needed.
    Gone,
}

impl Catalog {
    /// Returns at most `limit` NAR files on a storage after `after`, in the order of their ids, including damaged and unneeded
    /// ones. Fewer than `limit` means that there are no more for now; files stored later have higher ids.
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

    /// Records that a NAR file is on storage `to` of its cache now, if it is still on `from` and undamaged. The copy must be
    /// verified and durable. Its paths are added to the list of [`Catalog::unpublished`] paths, because their files beside
    /// the NAR belong on the new storage.
    ///
    /// # Errors
    ///
    /// [`CatalogError::StorageNotInUse`] if `to` does not belong to the cache or is disabled.
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
    let cache = row.cache;
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
    let paths: Vec<StorePathHash> = paths.into_iter().map(|path| path.hash).collect();
    if change == PathChange::Inserted {
        closures::settle(transaction, cache, &paths).await?;
    }
    Ok(Written::with_changes(MoveOutcome::Moved { nar: moved.id, paths }, changes))
}
