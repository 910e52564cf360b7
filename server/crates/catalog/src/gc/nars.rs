//! NAR files that no path needs, not even one in the trash: those of tombstoned paths, and those that the healing of a path
//! left.

use nix_formats::FileHash;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::IN_LIST;
use crate::entity::field::stored;
use crate::entity::{nar, store_path, tombstone, trashed_path};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, NarId, NarRecord, StorageId, copies};

impl Catalog {
    /// Returns at most `limit` NAR files on a storage after `after`, in the order of their ids, that neither a path,
    /// nor a trashed one, nor a tombstone, whose narinfo may still name them, needs. Fewer than `limit` means that there are no more for now.
    pub async fn unneeded_nars(
        &self,
        storage: StorageId,
        after: Option<NarId>,
        limit: u64,
    ) -> Result<Vec<NarRecord>, CatalogError> {
        let found = nar::Entity::find()
            .filter(nar::Column::Storage.eq(storage))
            .filter(nar::Column::Id.gt(after.unwrap_or(NarId(0))))
            .filter(Expr::not_exists(paths_with_it()))
            .filter(Expr::not_exists(trashed_with_it()))
            .filter(Expr::not_exists(tombstones_with_it()))
            .order_by_asc(nar::Column::Id)
            .limit(limit)
            .all(self.readers())
            .await?;
        Ok(found.into_iter().map(NarRecord::from).collect())
    }

    /// Returns those of these NAR files that [`Catalog::unneeded_nars`] would return, in the order of their ids.
    pub async fn unneeded_of(&self, nars: &[NarId]) -> Result<Vec<NarRecord>, CatalogError> {
        let mut found = Vec::with_capacity(nars.len());
        for some in nars.chunks(IN_LIST) {
            let rows = nar::Entity::find()
                .filter(nar::Column::Id.is_in(some.iter().copied()))
                .filter(Expr::not_exists(paths_with_it()))
                .filter(Expr::not_exists(trashed_with_it()))
                .filter(Expr::not_exists(tombstones_with_it()))
                .all(self.readers())
                .await?;
            found.extend(rows.into_iter().map(NarRecord::from));
        }
        found.sort_unstable_by_key(|nar| nar.id);
        Ok(found)
    }

    /// Gives up those of the NAR files that no path needs and returns them. From then on they count as damaged, so that a push
    /// stores them anew, and they can be removed.
    pub async fn give_up_nars(&self, nars: Vec<NarId>) -> Result<Vec<NarId>, CatalogError> {
        self.write(nars, |transaction, nars| Box::pin(give_up(transaction, nars))).await
    }

    /// Returns whether a file of the cache was given up and is still recorded: a daemon may be removing it right now.
    pub async fn is_given_up(&self, cache: CacheId, file: &FileHash) -> Result<bool, CatalogError> {
        let found = nar::Entity::find()
            .filter(nar::Column::Cache.eq(cache))
            .filter(nar::Column::FileHash.eq(stored(file)))
            .filter(nar::Column::Damaged.eq(true))
            .filter(Expr::not_exists(paths_with_it()))
            .filter(Expr::not_exists(trashed_with_it()))
            .one(self.readers())
            .await?;
        Ok(found.is_some())
    }

    /// Deletes the records of NAR files that were given up and removed. Returns those that still existed; a file that was pushed
    /// meanwhile has another id.
    pub async fn forget_nars(&self, nars: Vec<NarId>) -> Result<Vec<NarId>, CatalogError> {
        self.write(nars, |transaction, nars| Box::pin(forget(transaction, nars))).await
    }
}

/// Returns a query for the trashed paths that need the file of the outer query.
pub(crate) fn trashed_with_it() -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(trashed_path::Entity)
        .and_where(
            Expr::col((trashed_path::Entity, trashed_path::Column::Nar))
                .equals((nar::Entity, nar::Column::Id)),
        )
        .take()
}

/// Returns a query for the paths that need the file of the outer query.
pub(crate) fn paths_with_it() -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(store_path::Entity)
        .and_where(
            Expr::col((store_path::Entity, store_path::Column::Nar)).equals((nar::Entity, nar::Column::Id)),
        )
        .take()
}

/// Returns a query for the tombstones whose narinfo may still name the file of the outer query.
fn tombstones_with_it() -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(tombstone::Entity)
        .and_where(
            Expr::col((tombstone::Entity, tombstone::Column::Nar)).equals((nar::Entity, nar::Column::Id)),
        )
        .take()
}

async fn unneeded(transaction: &DatabaseTransaction, nars: &[NarId]) -> Result<Vec<NarId>, CatalogError> {
    let found = nar::Entity::find()
        .select_only()
        .column(nar::Column::Id)
        .filter(nar::Column::Id.is_in(nars.iter().copied()))
        .filter(Expr::not_exists(paths_with_it()))
        .filter(Expr::not_exists(trashed_with_it()))
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(found)
}

/// Returns the size of those of the files that only trashed paths need.
pub(super) async fn only_trashed(
    transaction: &DatabaseTransaction,
    nars: &[NarId],
) -> Result<u64, CatalogError> {
    let mut bytes = 0;
    for some in nars.chunks(IN_LIST) {
        let found = nar::Entity::find()
            .filter(nar::Column::Id.is_in(some.iter().copied()))
            .filter(Expr::not_exists(paths_with_it()))
            .all(transaction)
            .await?;
        bytes += found.iter().map(|nar| nar.file_size.get()).sum::<u64>();
    }
    Ok(bytes)
}

async fn give_up(
    transaction: &DatabaseTransaction,
    nars: &[NarId],
) -> Result<Written<Vec<NarId>>, CatalogError> {
    let mut given_up = Vec::with_capacity(nars.len());
    for some in nars.chunks(IN_LIST) {
        let some = unneeded(transaction, some).await?;
        nar::Entity::update_many()
            .col_expr(nar::Column::Damaged, true.into())
            .filter(nar::Column::Id.is_in(some.iter().copied()))
            .exec(transaction)
            .await?;
        given_up.extend(some);
    }
    Ok(Written::quietly(given_up))
}

async fn forget(
    transaction: &DatabaseTransaction,
    nars: &[NarId],
) -> Result<Written<Vec<NarId>>, CatalogError> {
    let mut forgotten = Vec::with_capacity(nars.len());
    for some in nars.chunks(IN_LIST) {
        let some = unneeded(transaction, some).await?;
        // Copies on storages that do not answer are removed later.
        copies::orphan(transaction, &some).await?;
        nar::Entity::delete_many()
            .filter(nar::Column::Id.is_in(some.iter().copied()))
            .exec(transaction)
            .await?;
        forgotten.extend(some);
    }
    Ok(Written::quietly(forgotten))
}
