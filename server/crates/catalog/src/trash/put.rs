//! Moving paths into the trash.

use nix_formats::{StorePath, StorePathHash};
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::IN_LIST;
use crate::entity::field::stored;
use crate::entity::{nar, store_path, trashed_path};
use crate::paths::references_of;
use crate::{CacheId, CatalogError, PathId, UnixTime};

/// Rows in one `INSERT`: each has a dozen parameters.
const ROWS: usize = 200;

/// Copies paths into the trash before their rows are deleted. Damaged ones are left out: restoring them would bring nothing
/// back.
pub(crate) async fn put(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    removed: &[(store_path::Model, nar::Model)],
    now: UnixTime,
) -> Result<(), CatalogError> {
    let sound: Vec<_> = removed.iter().filter(|(_, nar)| !nar.damaged).map(|(path, _)| path).collect();
    for some in sound.chunks(ROWS) {
        let ids: Vec<PathId> = some.iter().map(|path| path.id).collect();
        let mut references = references_of(transaction, &ids).await?;
        let hashes: Vec<StorePathHash> = some.iter().map(|path| *path.hash).collect();
        take_out(transaction, cache, &hashes).await?;
        let rows = some.iter().map(|path| trashed_path::ActiveModel {
            id: ActiveValue::NotSet,
            cache: ActiveValue::Set(cache),
            hash: ActiveValue::Set((*path.hash).into()),
            name: ActiveValue::Set(path.name.clone()),
            nar: ActiveValue::Set(path.nar),
            reference_names: ActiveValue::Set(
                references
                    .remove(&path.id)
                    .unwrap_or_default()
                    .iter()
                    .map(StorePath::base_name)
                    .collect::<Vec<_>>()
                    .into(),
            ),
            deriver: ActiveValue::Set(path.deriver.clone()),
            ca: ActiveValue::Set(path.ca.clone()),
            signatures: ActiveValue::Set(path.signatures.clone().into_inner().into()),
            created_at: ActiveValue::Set(path.created_at),
            last_used_at: ActiveValue::Set(path.last_used_at),
            pushed_by: ActiveValue::Set(path.pushed_by.clone()),
            trashed_at: ActiveValue::Set(now),
        });
        trashed_path::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Removes paths from the trash because the cache has them again.
pub(crate) async fn take_out(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    hashes: &[StorePathHash],
) -> Result<(), CatalogError> {
    for some in hashes.chunks(IN_LIST) {
        trashed_path::Entity::delete_many()
            .filter(trashed_path::Column::Cache.eq(cache))
            .filter(trashed_path::Column::Hash.is_in(some.iter().map(stored)))
            .exec(transaction)
            .await?;
    }
    Ok(())
}
