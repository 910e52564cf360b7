//! The copies that are to be made.
//!
//! A daemon claims a copy before it makes it, and says now and then that it is still at it. A claim that is old is that of a
//! daemon that died, and others may take the work.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::{CopyRecord, CopyState, IN_LIST, NOT_MISSED, nars_by_id, removal, rows_of};
use crate::entity::field::stored;
use crate::entity::{nar, nar_copy};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, CopyId, NarId, NarRecord, StorageId, UnixTime};

/// A copy that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyToMake {
    /// The copy. A damaged one has a storage, whose file is to be replaced.
    pub copy: CopyRecord,
    /// Where it is in the backlog, to go on behind it.
    pub place: (i64, CopyId),
    /// The file.
    pub nar: NarRecord,
    /// The storages with a sound copy, the home of the file first.
    pub sources: Vec<StorageId>,
    /// All storages on which something of it lies or is about to.
    pub taken: Vec<StorageId>,
}

impl Catalog {
    /// Returns at most `limit` copies that are to be made and that nobody works on, behind `after` in the backlog: those of
    /// files with the fewest copies first.
    pub async fn copies_to_make(
        &self,
        cache: CacheId,
        after: Option<(i64, CopyId)>,
        limit: u64,
    ) -> Result<Vec<CopyToMake>, CatalogError> {
        let mut rows = Vec::new();
        // One query for each state, as an index has them in order.
        for state in [CopyState::Wanted, CopyState::Damaged] {
            let mut query = nar_copy::Entity::find()
                .filter(nar_copy::Column::Cache.eq(cache))
                .filter(nar_copy::Column::State.eq(stored(&state)))
                .filter(nar_copy::Column::ClaimedAt.is_null())
                .filter(nar_copy::Column::Nar.is_not_null());
            if let Some((exposure, id)) = after {
                let equal = Condition::all()
                    .add(nar_copy::Column::Exposure.eq(exposure))
                    .add(nar_copy::Column::Id.gt(id));
                query =
                    query.filter(Condition::any().add(nar_copy::Column::Exposure.gt(exposure)).add(equal));
            }
            let query = query
                .order_by_asc(nar_copy::Column::Exposure)
                .order_by_asc(nar_copy::Column::Id)
                .limit(limit);
            rows.extend(query.all(self.readers()).await?);
        }
        rows.sort_unstable_by_key(|row| (row.exposure, row.id));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        self.describe(rows).await
    }

    /// Returns the copies of one file that are to be made.
    pub async fn copies_to_make_of(&self, nar: NarId) -> Result<Vec<CopyToMake>, CatalogError> {
        let rows = nar_copy::Entity::find()
            .filter(nar_copy::Column::Nar.eq(nar))
            .filter(
                nar_copy::Column::State
                    .is_in([CopyState::Wanted, CopyState::Damaged].map(|state| stored(&state))),
            )
            .filter(nar_copy::Column::ClaimedAt.is_null())
            .order_by_asc(nar_copy::Column::Id)
            .all(self.readers())
            .await?;
        self.describe(rows).await
    }

    pub(super) async fn describe(&self, rows: Vec<nar_copy::Model>) -> Result<Vec<CopyToMake>, CatalogError> {
        let ids: Vec<NarId> = rows.iter().filter_map(|row| row.nar).collect();
        let nars = nars_by_id(self.readers(), &ids).await?;
        let copies = rows_of(self.readers(), &ids).await?;
        let describe = |row: nar_copy::Model| {
            // One whose file was replaced a moment ago is found again later.
            let nar = nars.iter().find(|nar| Some(nar.id) == row.nar)?;
            let of_file = || copies.iter().filter(|copy| copy.nar == row.nar);
            let home = (!nar.damaged).then_some(nar.storage);
            let sound = of_file().filter(|copy| *copy.state == CopyState::There);
            Some(CopyToMake {
                place: (row.exposure, row.id),
                nar: nar.clone().into(),
                sources: home.into_iter().chain(sound.filter_map(|copy| copy.storage)).collect(),
                taken: std::iter::once(nar.storage)
                    .chain(of_file().filter(|copy| copy.id != row.id).filter_map(|copy| copy.storage))
                    .collect(),
                copy: row.into(),
            })
        };
        Ok(rows.into_iter().filter_map(describe).collect())
    }

    /// Claims copies, each for a storage. Returns those that may be made there: others may have taken one meanwhile, the file may be
    /// gone, or lie there.
    pub async fn begin_copies(
        &self,
        copies: Vec<(CopyId, StorageId)>,
        now: UnixTime,
    ) -> Result<Vec<CopyId>, CatalogError> {
        self.write((copies, now), |transaction, (copies, now)| Box::pin(begin(transaction, copies, *now)))
            .await
    }

    /// Records that copies are durable. Returns those that count: a file may be gone meanwhile.
    pub async fn finish_copies(
        &self,
        copies: Vec<CopyId>,
        now: UnixTime,
    ) -> Result<Vec<CopyId>, CatalogError> {
        self.write((copies, now), |transaction, (copies, now)| Box::pin(finish(transaction, copies, *now)))
            .await
    }

    /// Records that copies could not be made. They are wanted as before, wherever there is room.
    pub async fn give_up_copies(&self, copies: Vec<CopyId>) -> Result<(), CatalogError> {
        self.write(copies, |transaction, copies| {
            Box::pin(async move {
                for some in copies.chunks(IN_LIST) {
                    let of_some = nar_copy::Column::Id.is_in(some.iter().copied());
                    reset(transaction, of_some).await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Says that copies are still being made.
    pub async fn renew_copies(&self, copies: Vec<CopyId>, now: UnixTime) -> Result<(), CatalogError> {
        self.write((copies, now), |transaction, (copies, now)| {
            Box::pin(async move {
                nar_copy::Entity::update_many()
                    .col_expr(nar_copy::Column::ClaimedAt, (*now).into())
                    .filter(nar_copy::Column::Id.is_in(copies.iter().copied()))
                    .filter(nar_copy::Column::ClaimedAt.is_not_null())
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Gives up the claims that were made or renewed before this time. Returns how many there were.
    pub async fn expire_copy_claims(&self, before: UnixTime) -> Result<u64, CatalogError> {
        let old = || nar_copy::Column::ClaimedAt.lt(before);
        if nar_copy::Entity::find().filter(old()).one(self.readers()).await?.is_none() {
            return Ok(0);
        }
        self.write(before, |transaction, before| {
            Box::pin(async move {
                let old = || nar_copy::Column::ClaimedAt.lt(*before);
                let made = reset(transaction, old()).await?;
                let leaving = nar_copy::Entity::update_many()
                    .col_expr(nar_copy::Column::ClaimedAt, Option::<i64>::None.into())
                    .filter(old())
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(made + leaving.rows_affected))
            })
        })
        .await
    }
}

/// Makes copies that are being made wanted again, but for those that nobody misses.
async fn reset(
    transaction: &DatabaseTransaction,
    which: sea_orm::sea_query::Expr,
) -> Result<u64, CatalogError> {
    let forgotten = nar_copy::Entity::delete_many()
        .filter(which.clone())
        .filter(nar_copy::Column::State.eq(stored(&CopyState::Copying)))
        .filter(nar_copy::Column::Exposure.eq(NOT_MISSED))
        .exec(transaction)
        .await?;
    let reset = nar_copy::Entity::update_many()
        .col_expr(nar_copy::Column::State, stored(&CopyState::Wanted).into())
        .col_expr(nar_copy::Column::Storage, Option::<i64>::None.into())
        .col_expr(nar_copy::Column::ClaimedAt, Option::<i64>::None.into())
        .filter(which)
        .filter(nar_copy::Column::State.eq(stored(&CopyState::Copying)))
        .exec(transaction)
        .await?;
    Ok(forgotten.rows_affected + reset.rows_affected)
}

async fn begin(
    transaction: &DatabaseTransaction,
    copies: &[(CopyId, StorageId)],
    now: UnixTime,
) -> Result<Written<Vec<CopyId>>, CatalogError> {
    let mut begun = Vec::with_capacity(copies.len());
    for &(id, storage) in copies {
        if begin_one(transaction, id, storage, now).await? {
            begun.push(id);
        }
    }
    Ok(Written::quietly(begun))
}

async fn begin_one(
    transaction: &DatabaseTransaction,
    id: CopyId,
    storage: StorageId,
    now: UnixTime,
) -> Result<bool, CatalogError> {
    let Some(row) = nar_copy::Entity::find_by_id(id).one(transaction).await? else { return Ok(false) };
    let is_free = row.claimed_at.is_none()
        && matches!(*row.state, CopyState::Wanted | CopyState::Damaged)
        && row.storage.is_none_or(|at| at == storage);
    let Some(nar) = row.nar.filter(|_| is_free) else { return Ok(false) };
    let nar = nar::Entity::find_by_id(nar).one(transaction).await?;
    if nar.is_none_or(|nar| nar.damaged || nar.storage == storage) {
        return Ok(false);
    }
    if row.storage.is_none() && !removal::make_way(transaction, storage, &row.file_hash).await? {
        return Ok(false);
    }
    let row = nar_copy::ActiveModel {
        id: ActiveValue::Unchanged(id),
        storage: ActiveValue::Set(Some(storage)),
        state: ActiveValue::Set(CopyState::Copying.into()),
        claimed_at: ActiveValue::Set(Some(now)),
        ..Default::default()
    };
    row.update(transaction).await?;
    Ok(true)
}

async fn finish(
    transaction: &DatabaseTransaction,
    copies: &[CopyId],
    now: UnixTime,
) -> Result<Written<Vec<CopyId>>, CatalogError> {
    let mut finished = Vec::with_capacity(copies.len());
    for &id in copies {
        let Some(row) = nar_copy::Entity::find_by_id(id).one(transaction).await? else { continue };
        let Some(nar) = row.nar.filter(|_| *row.state == CopyState::Copying) else { continue };
        let nar = nar::Entity::find_by_id(nar).one(transaction).await?;
        if nar.is_none_or(|nar| nar.damaged || Some(nar.storage) == row.storage) {
            continue;
        }
        let row = nar_copy::ActiveModel {
            id: ActiveValue::Unchanged(id),
            state: ActiveValue::Set(CopyState::There.into()),
            exposure: ActiveValue::Set(0),
            claimed_at: ActiveValue::Set(None),
            checked_at: ActiveValue::Set(Some(now)),
            ..Default::default()
        };
        row.update(transaction).await?;
        finished.push(id);
    }
    Ok(Written::quietly(finished))
}
