//! Uploads that were completed. A client whose `complete` got no answer asks again and must get the same one, although
//! nothing else of the upload is left.

use nix_formats::StorePathHash;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::upload;
use crate::paths::touch;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, UnixTime, open_uploads};

/// An upload that was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedUpload {
    /// The cache it went to.
    pub cache: CacheId,
    /// The path that it made visible, or found visible.
    pub path: StorePathHash,
}

impl Catalog {
    /// Finds an upload that was completed, by the `narId` the client was given.
    pub async fn find_finished_upload(&self, nar_id: Uuid) -> Result<Option<FinishedUpload>, CatalogError> {
        let row = upload::Entity::find_by_id(nar_id).one(self.readers()).await?;
        Ok(row.map(|row| FinishedUpload { cache: row.cache, path: *row.path_hash }))
    }

    /// Records that an upload was completed whose path the cache had already, which counts as a use of the path. For a new
    /// path [`Catalog::commit_path`] does it.
    pub async fn record_finished_upload(
        &self,
        nar_id: Uuid,
        cache: CacheId,
        path: StorePathHash,
    ) -> Result<(), CatalogError> {
        self.write((nar_id, cache, path), |transaction, (nar_id, cache, path)| {
            Box::pin(async move {
                let now = UnixTime::now();
                finish(transaction, *nar_id, *cache, path, now).await?;
                touch(transaction, *cache, now, &[*path]).await
            })
        })
        .await
    }

    /// Forgets uploads that were completed before this time, which no client will ask about any more. Returns how many.
    pub async fn forget_finished_uploads(&self, before: UnixTime) -> Result<u64, CatalogError> {
        self.write(before, |transaction, before| {
            Box::pin(async move {
                let deleted = upload::Entity::delete_many()
                    .filter(upload::Column::FinishedAt.lt(*before))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(deleted.rows_affected))
            })
        })
        .await
    }
}

/// Records that an upload was completed, which is no longer open then. The first record stays.
pub(crate) async fn finish(
    transaction: &DatabaseTransaction,
    nar_id: Uuid,
    cache: CacheId,
    path: &StorePathHash,
    finished_at: UnixTime,
) -> Result<(), CatalogError> {
    upload::Entity::insert(upload::ActiveModel {
        nar_id: ActiveValue::Set(nar_id.into()),
        cache: ActiveValue::Set(cache),
        path_hash: ActiveValue::Set((*path).into()),
        finished_at: ActiveValue::Set(finished_at),
    })
    .on_conflict(OnConflict::column(upload::Column::NarId).do_nothing().to_owned())
    .exec_without_returning(transaction)
    .await?;
    open_uploads::forget(transaction, nar_id).await
}
