//! Uploads that were begun. Where several daemons share the database, this tells each of them which one has the parts of an
//! upload that a client asks about.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::open_upload;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, UnixTime};

/// An upload that was begun and is not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    /// The cache it goes to.
    pub cache: CacheId,
    /// The daemon that has its parts, as that called itself.
    pub owner: String,
}

impl Catalog {
    /// Records that an upload was begun, by the `narId` the client is given. The same one again changes its owner.
    pub async fn record_open_upload(
        &self,
        nar_id: Uuid,
        cache: CacheId,
        owner: &str,
    ) -> Result<(), CatalogError> {
        self.write((nar_id, cache, owner.to_owned()), |transaction, (nar_id, cache, owner)| {
            Box::pin(async move {
                record(transaction, *nar_id, *cache, owner).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Finds an upload that was begun, and neither completed nor forgotten since.
    pub async fn find_open_upload(&self, nar_id: Uuid) -> Result<Option<OpenUpload>, CatalogError> {
        let row = open_upload::Entity::find_by_id(nar_id.as_bytes().to_vec()).one(self.readers()).await?;
        Ok(row.map(|row| OpenUpload { cache: row.cache, owner: row.owner }))
    }

    /// Forgets an upload that was given up.
    pub async fn forget_open_upload(&self, nar_id: Uuid) -> Result<(), CatalogError> {
        self.write(nar_id, |transaction, nar_id| {
            Box::pin(async move { forget(transaction, *nar_id).await.map(Written::quietly) })
        })
        .await
    }

    /// Forgets all uploads of a daemon, which has lost their parts. Returns how many.
    pub async fn forget_open_uploads_of(&self, owner: &str) -> Result<u64, CatalogError> {
        self.write(owner.to_owned(), |transaction, owner| {
            Box::pin(async move {
                let deleted = open_upload::Entity::delete_many()
                    .filter(open_upload::Column::Owner.eq(owner.as_str()))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(deleted.rows_affected))
            })
        })
        .await
    }

    /// Forgets uploads that were begun before this time. Their owner may never come back to do so. Returns how many.
    pub async fn forget_open_uploads_before(&self, time: UnixTime) -> Result<u64, CatalogError> {
        self.write(time, |transaction, time| {
            Box::pin(async move {
                let deleted = open_upload::Entity::delete_many()
                    .filter(open_upload::Column::CreatedAt.lt(*time))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(deleted.rows_affected))
            })
        })
        .await
    }
}

async fn record(
    transaction: &DatabaseTransaction,
    nar_id: Uuid,
    cache: CacheId,
    owner: &str,
) -> Result<(), CatalogError> {
    open_upload::Entity::insert(open_upload::ActiveModel {
        nar_id: ActiveValue::Set(nar_id.as_bytes().to_vec()),
        cache: ActiveValue::Set(cache),
        owner: ActiveValue::Set(owner.to_owned()),
        created_at: ActiveValue::Set(UnixTime::now()),
    })
    .on_conflict(
        OnConflict::column(open_upload::Column::NarId).update_column(open_upload::Column::Owner).to_owned(),
    )
    .exec_without_returning(transaction)
    .await?;
    Ok(())
}

pub(crate) async fn forget(transaction: &DatabaseTransaction, nar_id: Uuid) -> Result<(), CatalogError> {
    open_upload::Entity::delete_by_id(nar_id.as_bytes().to_vec()).exec(transaction).await?;
    Ok(())
}
