//! Completed uploads. A client whose `complete` got no reply repeats it and must get the same reply, although nothing else of
//! the upload is left.

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
    /// The target cache.
    pub cache: CacheId,
    /// The path that it made visible or found visible.
    pub path: StorePathHash,
}

impl Catalog {
    /// Finds a completed upload by the `narId` of the client.
    pub async fn find_finished_upload(&self, nar_id: Uuid) -> Result<Option<FinishedUpload>, CatalogError> {
        let row = upload::Entity::find_by_id(nar_id).one(self.readers()).await?;
        Ok(row.map(|row| FinishedUpload { cache: row.cache, path: *row.path_hash }))
    }

    /// Records the completion of an upload whose path the cache had already, which counts as a use of the path. For a new path
    /// [`Catalog::commit_path`] does this.
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

    /// Deletes the records of uploads that were completed before this time, which no client repeats any more. Returns how
    /// many there were.
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

/// Records that an upload was completed and is no longer open. The first record is kept.
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
