//! NAR files that no path needs: those of buried paths, and those that a healed path has left.

use nix_formats::FileHash;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::IN_LIST;
use crate::entity::field::stored;
use crate::entity::{nar, store_path, tombstone};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, NarId, NarRecord, StorageId};

impl Catalog {
    /// NAR files on a storage that no path needs, and no tombstone whose narinfo may still name them, in the order of their
    /// ids, starting behind `after`. At most `limit`; fewer means that there are no more for now.
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
            .filter(Expr::not_exists(tombstones_with_it()))
            .order_by_asc(nar::Column::Id)
            .limit(limit)
            .all(self.readers())
            .await?;
        Ok(found.into_iter().map(NarRecord::from).collect())
    }

    /// Those of these NAR files that [`Catalog::unneeded_nars`] would give, in the order of their ids.
    pub async fn unneeded_of(&self, nars: &[NarId]) -> Result<Vec<NarRecord>, CatalogError> {
        let mut found = Vec::with_capacity(nars.len());
        for some in nars.chunks(IN_LIST) {
            let rows = nar::Entity::find()
                .filter(nar::Column::Id.is_in(some.iter().copied()))
                .filter(Expr::not_exists(paths_with_it()))
                .filter(Expr::not_exists(tombstones_with_it()))
                .all(self.readers())
                .await?;
            found.extend(rows.into_iter().map(NarRecord::from));
        }
        found.sort_unstable_by_key(|nar| nar.id);
        Ok(found)
    }

    /// Gives up those of the NAR files that no path needs, and returns which. From then on they count as damaged, so that
    /// whoever pushes one of them stores it anew; they can be removed.
    pub async fn give_up_nars(&self, nars: Vec<NarId>) -> Result<Vec<NarId>, CatalogError> {
        self.write(nars, |transaction, nars| Box::pin(give_up(transaction, nars))).await
    }

    /// Whether a file of the cache was given up and is not forgotten: some daemon may be removing it at this moment.
    pub async fn is_given_up(&self, cache: CacheId, file: &FileHash) -> Result<bool, CatalogError> {
        let found = nar::Entity::find()
            .filter(nar::Column::Cache.eq(cache))
            .filter(nar::Column::FileHash.eq(stored(file)))
            .filter(nar::Column::Damaged.eq(true))
            .filter(Expr::not_exists(paths_with_it()))
            .one(self.readers())
            .await?;
        Ok(found.is_some())
    }

    /// Forgets NAR files that were given up and are removed. Returns those that were still known; a file that was pushed
    /// meanwhile is known under another id.
    pub async fn forget_nars(&self, nars: Vec<NarId>) -> Result<Vec<NarId>, CatalogError> {
        self.write(nars, |transaction, nars| Box::pin(forget(transaction, nars))).await
    }
}

/// A query for the paths that need the file of the surrounding query.
fn paths_with_it() -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(store_path::Entity)
        .and_where(
            Expr::col((store_path::Entity, store_path::Column::Nar)).equals((nar::Entity, nar::Column::Id)),
        )
        .take()
}

/// A query for the tombstones whose narinfo may still name the file of the surrounding query.
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
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(found)
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
        nar::Entity::delete_many()
            .filter(nar::Column::Id.is_in(some.iter().copied()))
            .exec(transaction)
            .await?;
        forgotten.extend(some);
    }
    Ok(Written::quietly(forgotten))
}
