//! The last time that a daemon knew, so that the next start notices a clock that is wrong.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, EntityTrait};

use crate::entity::clock;
use crate::writer::Written;
use crate::{Catalog, CatalogError, UnixTime};

/// The only row.
const ROW: i64 = 1;

impl Catalog {
    /// The latest time that any daemon has noted, or `None` before the first note.
    pub async fn time_last_seen(&self) -> Result<Option<UnixTime>, CatalogError> {
        let row = clock::Entity::find_by_id(ROW).one(self.readers()).await?;
        Ok(row.map(|row| row.seen_at))
    }

    /// Notes that it is this time. An earlier one than another daemon has noted changes nothing.
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

    /// Sets the time that was last seen, also to an earlier one: somebody has looked at the clock.
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

async fn store(transaction: &sea_orm::DatabaseTransaction, now: UnixTime) -> Result<(), CatalogError> {
    let row = clock::ActiveModel { id: ActiveValue::Set(ROW), seen_at: ActiveValue::Set(now) };
    clock::Entity::insert(row)
        .on_conflict(OnConflict::column(clock::Column::Id).update_column(clock::Column::SeenAt).to_owned())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}
