//! Open uploads. If several daemons share the database, each of them finds here which one holds the parts of an upload.

use nix_formats::FileHash;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue, ColumnTrait, DatabaseTransaction, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use crate::entity::field::stored;
use crate::entity::open_upload;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, UnixTime};

/// An upload that has begun and is not completed.
#[derive(Clone, Debug, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "open_upload::Entity")]
pub struct OpenUpload {
    /// The target cache.
    pub cache: CacheId,
    /// The daemon that holds its parts, by the name it chose.
    pub owner: String,
}

/// The most uploads of one file that a query returns. They are interchangeable.
const MOST_WAITING: u64 = 4;

impl Catalog {
    /// Records that an upload has begun, by the `narId` of the client. Recording it again changes its owner.
    pub async fn record_open_upload(
        &self,
        nar_id: Uuid,
        cache: CacheId,
        owner: &str,
    ) -> Result<(), CatalogError> {
        self.write((nar_id, cache, owner.to_owned()), |transaction, (nar_id, cache, owner)| {
            Box::pin(async move {
                record(transaction, *nar_id, *cache, owner, None).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Records an upload that arrived in one piece as this file and waits for its narinfo.
    pub async fn record_waiting_file(
        &self,
        nar_id: Uuid,
        cache: CacheId,
        owner: &str,
        file: FileHash,
    ) -> Result<(), CatalogError> {
        self.write((nar_id, cache, owner.to_owned(), file), |transaction, (nar_id, cache, owner, file)| {
            Box::pin(async move {
                record(transaction, *nar_id, *cache, owner, Some(file)).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Finds a few uploads of this file that wait for its narinfo, newest first.
    pub async fn find_waiting_files(
        &self,
        cache: CacheId,
        file: &FileHash,
    ) -> Result<Vec<OpenUpload>, CatalogError> {
        let uploads = open_upload::Entity::find()
            .filter(open_upload::Column::Cache.eq(cache))
            .filter(open_upload::Column::FileHash.eq(stored(file)))
            .order_by_desc(open_upload::Column::CreatedAt)
            .limit(MOST_WAITING)
            .into_partial_model()
            .all(self.readers())
            .await?;
        Ok(uploads)
    }

    /// Finds an open upload.
    pub async fn find_open_upload(&self, nar_id: Uuid) -> Result<Option<OpenUpload>, CatalogError> {
        Ok(open_upload::Entity::find_by_id(nar_id).into_partial_model().one(self.readers()).await?)
    }

    /// Deletes the record of an abandoned upload.
    pub async fn forget_open_upload(&self, nar_id: Uuid) -> Result<(), CatalogError> {
        self.write(nar_id, |transaction, nar_id| {
            Box::pin(async move { forget(transaction, *nar_id).await.map(Written::quietly) })
        })
        .await
    }

    /// Deletes the records of all uploads of a daemon that lost their parts. Returns how many there were.
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

    /// Deletes the records of uploads that began before this time; their owner may never return. Returns how many there were.
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
    file: Option<&FileHash>,
) -> Result<(), CatalogError> {
    open_upload::Entity::insert(open_upload::ActiveModel {
        nar_id: ActiveValue::Set(nar_id.into()),
        cache: ActiveValue::Set(cache),
        owner: ActiveValue::Set(owner.to_owned()),
        file_hash: ActiveValue::Set(file.map(|&file| file.into())),
        created_at: ActiveValue::Set(UnixTime::now()),
    })
    .on_conflict(
        OnConflict::column(open_upload::Column::NarId)
            .update_columns([open_upload::Column::Owner, open_upload::Column::FileHash])
            .to_owned(),
    )
    .exec_without_returning(transaction)
    .await?;
    Ok(())
}

pub(crate) async fn forget(transaction: &DatabaseTransaction, nar_id: Uuid) -> Result<(), CatalogError> {
    open_upload::Entity::delete_by_id(nar_id).exec(transaction).await?;
    Ok(())
}
