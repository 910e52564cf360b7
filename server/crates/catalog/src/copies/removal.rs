//! Copies that are to be removed: those that are too many, and those of files that the cache does not have any more.

use nix_formats::FileHash;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{CopyRecord, CopyState, IN_LIST};
use crate::entity::field::stored;
use crate::entity::{nar, nar_copy};
use crate::writer::Written;
use crate::{Catalog, CatalogError, CopyId, NarId, StorageId, UnixTime};

impl Catalog {
    /// Claims at most `limit` copies on a storage that are to be removed, behind `after`. One whose file has its home there by now
    /// stays and is not among them.
    pub async fn claim_leaving_copies(
        &self,
        storage: StorageId,
        after: Option<CopyId>,
        limit: u64,
        now: UnixTime,
    ) -> Result<Vec<CopyRecord>, CatalogError> {
        let query = nar_copy::Entity::find()
            .filter(nar_copy::Column::Storage.eq(storage))
            .filter(nar_copy::Column::State.eq(stored(&CopyState::Leaving)))
            .filter(nar_copy::Column::ClaimedAt.is_null())
            .filter(nar_copy::Column::Id.gt(after.unwrap_or(CopyId(0))))
            .order_by_asc(nar_copy::Column::Id)
            .limit(limit);
        let found: Vec<CopyId> = query.all(self.readers()).await?.into_iter().map(|row| row.id).collect();
        if found.is_empty() {
            return Ok(Vec::new());
        }
        self.write((storage, found, now), |transaction, (storage, found, now)| {
            Box::pin(claim(transaction, *storage, found, *now))
        })
        .await
    }

    /// Gives back copies that could not be removed, for another time.
    pub async fn keep_leaving_copies(&self, copies: Vec<CopyId>) -> Result<(), CatalogError> {
        self.write(copies, |transaction, copies| {
            Box::pin(async move {
                for some in copies.chunks(IN_LIST) {
                    nar_copy::Entity::update_many()
                        .col_expr(nar_copy::Column::ClaimedAt, Option::<i64>::None.into())
                        .filter(nar_copy::Column::Id.is_in(some.iter().copied()))
                        .filter(nar_copy::Column::State.eq(stored(&CopyState::Leaving)))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Forgets copies whose files were removed.
    pub async fn forget_copies(&self, copies: Vec<CopyId>) -> Result<(), CatalogError> {
        self.write(copies, |transaction, copies| {
            Box::pin(async move {
                for some in copies.chunks(IN_LIST) {
                    nar_copy::Entity::delete_many()
                        .filter(nar_copy::Column::Id.is_in(some.iter().copied()))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Declares that a file is about to be stored on a storage anew: a copy of it there that was to be removed stays. Returns whether
    /// the file may be stored; not while a daemon removes it.
    pub async fn store_over_leaving(&self, storage: StorageId, file: FileHash) -> Result<bool, CatalogError> {
        let there = nar_copy::Entity::find()
            .filter(nar_copy::Column::Storage.eq(storage))
            .filter(nar_copy::Column::FileHash.eq(stored(&file)))
            .filter(nar_copy::Column::State.eq(stored(&CopyState::Leaving)));
        if there.one(self.readers()).await?.is_none() {
            return Ok(true);
        }
        self.write((storage, file), |transaction, (storage, file)| {
            Box::pin(store_over(transaction, *storage, file))
        })
        .await
    }

    /// Keeps copies that were to be removed, as they are needed after all.
    pub async fn retain_copies(&self, copies: Vec<CopyId>) -> Result<(), CatalogError> {
        self.write(copies, |transaction, copies| {
            Box::pin(async move {
                for some in copies.chunks(IN_LIST) {
                    nar_copy::Entity::update_many()
                        .col_expr(nar_copy::Column::ClaimedAt, Option::<i64>::None.into())
                        .col_expr(nar_copy::Column::State, stored(&CopyState::There).into())
                        .filter(nar_copy::Column::Id.is_in(some.iter().copied()))
                        .filter(nar_copy::Column::Nar.is_not_null())
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

async fn claim(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    copies: &[CopyId],
    now: UnixTime,
) -> Result<Written<Vec<CopyRecord>>, CatalogError> {
    let mut claimed = Vec::with_capacity(copies.len());
    for &id in copies {
        let Some(row) = nar_copy::Entity::find_by_id(id).one(transaction).await? else { continue };
        if *row.state != CopyState::Leaving || row.claimed_at.is_some() {
            continue;
        }
        let home = nar::Entity::find()
            .filter(nar::Column::Cache.eq(row.cache))
            .filter(nar::Column::FileHash.eq(stored(&*row.file_hash)))
            .filter(nar::Column::Storage.eq(storage))
            .one(transaction)
            .await?;
        if home.is_some() {
            nar_copy::Entity::delete_by_id(id).exec(transaction).await?;
            continue;
        }
        let claim = nar_copy::ActiveModel {
            id: ActiveValue::Unchanged(id),
            claimed_at: ActiveValue::Set(Some(now)),
            ..Default::default()
        };
        claim.update(transaction).await?;
        claimed.push(row.into());
    }
    Ok(Written::quietly(claimed))
}

async fn store_over(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    file: &FileHash,
) -> Result<Written<bool>, CatalogError> {
    let is_free = match find_at(transaction, storage, file).await? {
        Some(copy) if *copy.state == CopyState::Leaving => forget_leaving(transaction, &copy).await?,
        _ => true,
    };
    Ok(Written::quietly(is_free))
}

/// Makes the place on a storage free for a file: forgets a copy there that was to be removed. Returns whether it is free.
pub(super) async fn make_way(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    file: &FileHash,
) -> Result<bool, CatalogError> {
    match find_at(transaction, storage, file).await? {
        Some(copy) => forget_leaving(transaction, &copy).await,
        None => Ok(true),
    }
}

/// Returns the further copy of a file on a storage, whatever its state.
async fn find_at(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    file: &FileHash,
) -> Result<Option<nar_copy::Model>, CatalogError> {
    let copy = nar_copy::Entity::find()
        .filter(nar_copy::Column::Storage.eq(storage))
        .filter(nar_copy::Column::FileHash.eq(stored(file)))
        .one(transaction)
        .await?;
    Ok(copy)
}

/// Forgets a copy that is to be removed, unless a daemon is at that. Returns whether it is forgotten; no other copy is.
async fn forget_leaving(
    transaction: &DatabaseTransaction,
    copy: &nar_copy::Model,
) -> Result<bool, CatalogError> {
    if *copy.state != CopyState::Leaving || copy.claimed_at.is_some() {
        return Ok(false);
    }
    nar_copy::Entity::delete_by_id(copy.id).exec(transaction).await?;
    Ok(true)
}

/// Forgets a copy on a storage that was to be removed, as it is needed.
pub(super) async fn forget_at(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    file: &FileHash,
) -> Result<(), CatalogError> {
    nar_copy::Entity::delete_many()
        .filter(nar_copy::Column::Storage.eq(storage))
        .filter(nar_copy::Column::FileHash.eq(stored(file)))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Turns the copies of files that the cache does not have any more into ones that are to be removed.
pub(crate) async fn orphan(transaction: &DatabaseTransaction, nars: &[NarId]) -> Result<(), CatalogError> {
    nar_copy::Entity::delete_many()
        .filter(nar_copy::Column::Nar.is_in(nars.iter().copied()))
        .filter(nar_copy::Column::Storage.is_null())
        .exec(transaction)
        .await?;
    nar_copy::Entity::update_many()
        .col_expr(nar_copy::Column::State, stored(&CopyState::Leaving).into())
        .col_expr(nar_copy::Column::Nar, Option::<i64>::None.into())
        .col_expr(nar_copy::Column::ClaimedAt, Option::<i64>::None.into())
        .filter(nar_copy::Column::Nar.is_in(nars.iter().copied()))
        .exec(transaction)
        .await?;
    Ok(())
}
