//! Removal of a disabled cache.

use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

use crate::entity::{
    cache, nar, nar_copy, open_upload, path_elsewhere, pin, realisation, signing_key, storage,
    storage_by_products, storage_generation, storage_job, store_path, tombstone, trashed_path, upload,
};
use crate::tokens::take_from_tokens;
use crate::writer::Written;
use crate::{CacheId, CacheRecord, Catalog, CatalogChange, CatalogError, StorageRecord};

/// The outcome of one step of removing a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// So many paths were removed. There may be more.
    Paths(u64),
    /// The cache was removed with everything that belonged to it.
    Cache,
    /// The cache is enabled. Nothing was removed.
    InUse,
}

impl Catalog {
    /// Returns all caches by name.
    pub async fn caches(&self) -> Result<Vec<CacheRecord>, CatalogError> {
        Ok(cache::Entity::find().order_by_asc(cache::Column::Name).all(self.readers()).await?)
    }

    /// Returns the current and former storages of a cache by name.
    pub async fn storages_of(&self, cache: CacheId) -> Result<Vec<StorageRecord>, CatalogError> {
        let rows = storage::Entity::find()
            .filter(storage::Column::Cache.eq(cache))
            .order_by_asc(storage::Column::Name)
            .all(self.readers())
            .await?;
        Ok(rows)
    }

    /// Removes at most `limit` paths and files of a disabled cache, and the cache itself once none are left. Repeat it until
    /// it returns [`Forgotten::Cache`]; other writes run in between.
    pub async fn forget_cache(&self, cache: CacheId, limit: u64) -> Result<Forgotten, CatalogError> {
        self.write((cache, limit), |transaction, (cache, limit)| {
            Box::pin(forget(transaction, *cache, *limit))
        })
        .await
    }
}

async fn forget(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    limit: u64,
) -> Result<Written<Forgotten>, CatalogError> {
    let Some(row) = cache::Entity::find_by_id(cache).one(transaction).await? else {
        return Ok(Written::quietly(Forgotten::Cache));
    };
    if row.enabled {
        return Ok(Written::quietly(Forgotten::InUse));
    }
    let some = store_path::Entity::find()
        .select_only()
        .column(store_path::Column::Id)
        .filter(store_path::Column::Cache.eq(cache))
        .limit(limit);
    // References and entries in the list of unpublished paths are removed with them.
    let paths = store_path::Entity::delete_many()
        .filter(store_path::Column::Id.in_subquery(some.into_query()))
        .exec(transaction)
        .await?
        .rows_affected;
    if paths > 0 {
        return Ok(Written::quietly(Forgotten::Paths(paths)));
    }
    let some = trashed_path::Entity::find()
        .select_only()
        .column(trashed_path::Column::Id)
        .filter(trashed_path::Column::Cache.eq(cache))
        .limit(limit);
    let trashed = trashed_path::Entity::delete_many()
        .filter(trashed_path::Column::Id.in_subquery(some.into_query()))
        .exec(transaction)
        .await?;
    if trashed.rows_affected > 0 {
        return Ok(Written::quietly(Forgotten::Paths(0)));
    }
    let some = nar::Entity::find()
        .select_only()
        .column(nar::Column::Id)
        .filter(nar::Column::Cache.eq(cache))
        .limit(limit);
    nar::Entity::delete_many()
        .filter(nar::Column::Id.in_subquery(some.into_query()))
        .exec(transaction)
        .await?;
    if nar::Entity::find().filter(nar::Column::Cache.eq(cache)).count(transaction).await? > 0 {
        return Ok(Written::quietly(Forgotten::Paths(0)));
    }
    forget_rest(transaction, cache).await?;
    let changes = match take_from_tokens(transaction, &row.name).await? {
        true => vec![CatalogChange::Tokens],
        false => Vec::new(),
    };
    Ok(Written::with_changes(Forgotten::Cache, changes))
}

/// Removes a cache that has neither paths nor files.
async fn forget_rest(transaction: &DatabaseTransaction, cache: CacheId) -> Result<(), CatalogError> {
    nar_copy::Entity::delete_many().filter(nar_copy::Column::Cache.eq(cache)).exec(transaction).await?;
    realisation::Entity::delete_many().filter(realisation::Column::Cache.eq(cache)).exec(transaction).await?;
    path_elsewhere::Entity::delete_many()
        .filter(path_elsewhere::Column::Cache.eq(cache))
        .exec(transaction)
        .await?;
    pin::Entity::delete_many().filter(pin::Column::Cache.eq(cache)).exec(transaction).await?;
    tombstone::Entity::delete_many().filter(tombstone::Column::Cache.eq(cache)).exec(transaction).await?;
    upload::Entity::delete_many().filter(upload::Column::Cache.eq(cache)).exec(transaction).await?;
    open_upload::Entity::delete_many().filter(open_upload::Column::Cache.eq(cache)).exec(transaction).await?;
    signing_key::Entity::delete_many().filter(signing_key::Column::Cache.eq(cache)).exec(transaction).await?;
    let storages = storage::Entity::find()
        .select_only()
        .column(storage::Column::Id)
        .filter(storage::Column::Cache.eq(cache));
    storage_job::Entity::delete_many()
        .filter(storage_job::Column::Storage.in_subquery(storages.clone().into_query()))
        .exec(transaction)
        .await?;
    storage_generation::Entity::delete_many()
        .filter(storage_generation::Column::Storage.in_subquery(storages.clone().into_query()))
        .exec(transaction)
        .await?;
    storage_by_products::Entity::delete_many()
        .filter(storage_by_products::Column::Storage.in_subquery(storages.into_query()))
        .exec(transaction)
        .await?;
    storage::Entity::delete_many().filter(storage::Column::Cache.eq(cache)).exec(transaction).await?;
    cache::Entity::delete_by_id(cache).exec(transaction).await?;
    Ok(())
}
