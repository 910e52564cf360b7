//! Uploads that were begun. Where several daemons share the database, this tells each of them which one has the parts of an
//! upload that a client asks about.

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

/// An upload that was begun and is not completed.
#[derive(Clone, Debug, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "open_upload::Entity")]
pub struct OpenUpload {
    /// The cache it goes to.
    pub cache: CacheId,
    /// The daemon that has its parts, as that called itself.
    pub owner: String,
}

/// Most uploads of one file that anybody is told of. Each is as good as any other.
const MOST_WAITING: u64 = 4;

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
                record(transaction, *nar_id, *cache, owner, None).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Records an upload that came in one piece, as this file, and waits for its narinfo.
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

    /// Finds the uploads that brought this file and wait for its narinfo, the newest first. A few at most.
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

    /// Finds an upload that was begun, and neither completed nor forgotten since.
    pub async fn find_open_upload(&self, nar_id: Uuid) -> Result<Option<OpenUpload>, CatalogError> {
        Ok(open_upload::Entity::find_by_id(nar_id).into_partial_model().one(self.readers()).await?)
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
