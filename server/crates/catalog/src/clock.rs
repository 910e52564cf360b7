//! The latest time that a daemon has seen, so that the next start notices a wrong clock.

use futures_util::future::BoxFuture;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, DatabaseTransaction, EntityTrait};

use crate::entity::clock;
use crate::writer::Written;
use crate::{Catalog, CatalogError, UnixTime};

/// The id of the only row.
const ROW: i64 = 1;
/// The id of a row that is there for no longer than a transaction.
const PROBE: i64 = 2;

impl Catalog {
    /// Returns the latest time that any daemon recorded, `None` before the first.
    pub async fn time_last_seen(&self) -> Result<Option<UnixTime>, CatalogError> {
        let row = clock::Entity::find_by_id(ROW).one(self.readers()).await?;
        Ok(row.map(|row| row.seen_at))
    }

    /// Records the current time. A time before the recorded one changes nothing.
    pub async fn note_time(&self, now: UnixTime) -> Result<(), CatalogError> {
        self.write(now, |transaction, now| {
            Box::pin(async move {
                let known = clock::Entity::find_by_id(ROW).one(transaction).await?;
                if known.is_none_or(|known| known.seen_at < *now) {
                    store(transaction, *now).await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Finds out whether the database can be written. In the end nothing has changed.
    pub async fn try_writing(&self) -> Result<(), CatalogError> {
        self.write((), probe).await
    }

    /// Sets the recorded time, even to an earlier one, after somebody checked the clock.
    pub async fn reset_time(&self, now: UnixTime) -> Result<(), CatalogError> {
        self.write(now, |transaction, now| {
            Box::pin(async move {
                store(transaction, *now).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

/// Writes something for certain: a row that is stored as it is would not be written at all.
pub(crate) fn probe<'t>(
    transaction: &'t DatabaseTransaction,
    (): &'t (),
) -> BoxFuture<'t, Result<Written<()>, CatalogError>> {
    Box::pin(async move {
        let row = clock::ActiveModel { id: ActiveValue::Set(PROBE), seen_at: ActiveValue::Set(UnixTime(0)) };
        clock::Entity::insert(row).exec_without_returning(transaction).await?;
        clock::Entity::delete_by_id(PROBE).exec(transaction).await?;
        Ok(Written::quietly(()))
    })
}

async fn store(transaction: &DatabaseTransaction, now: UnixTime) -> Result<(), CatalogError> {
    let row = clock::ActiveModel { id: ActiveValue::Set(ROW), seen_at: ActiveValue::Set(now) };
    clock::Entity::insert(row)
        .on_conflict(OnConflict::column(clock::Column::Id).update_column(clock::Column::SeenAt).to_owned())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}
