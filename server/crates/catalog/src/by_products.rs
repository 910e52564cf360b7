//! How many bytes the by-products on each storage take: listings, debug info links, build logs, realisations.
//!
//! The catalog has no row for each of them. The daemons that share it add what changes now and then, so a crash may lose the
//! last changes; an fsck, which lists the storage, sets the count right.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue, DatabaseTransaction, EntityTrait, ExprTrait};

use crate::entity::storage_by_products::{self, Column, Entity};
use crate::writer::Written;
use crate::{Catalog, CatalogError, StorageId};

impl Catalog {
    /// Returns the bytes of the by-products on a storage.
    pub async fn by_product_bytes(&self, storage: StorageId) -> Result<u64, CatalogError> {
        let row = Entity::find_by_id(storage).one(self.readers()).await?;
        Ok(bytes(row))
    }

    /// Adds changes in bytes. Returns what the by-products take now, in the order of `changes`.
    pub async fn add_by_product_bytes(
        &self,
        changes: Vec<(StorageId, i64)>,
    ) -> Result<Vec<u64>, CatalogError> {
        self.write(changes, |transaction, changes| {
            Box::pin(async move {
                let mut sums = Vec::with_capacity(changes.len());
                for (storage, change) in changes {
                    let sum = Expr::col((Entity, Column::Bytes)).add(*change);
                    save(transaction, *storage, *change, sum).await?;
                    sums.push(bytes(Entity::find_by_id(*storage).one(transaction).await?));
                }
                Ok(Written::quietly(sums))
            })
        })
        .await
    }

    /// Replaces the count of a storage.
    pub async fn set_by_product_bytes(&self, storage: StorageId, bytes: u64) -> Result<(), CatalogError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.write((storage, bytes), |transaction, (storage, bytes)| {
            Box::pin(async move {
                save(transaction, *storage, *bytes, Expr::val(*bytes)).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

/// Inserts a count, or else updates the one that is there.
async fn save(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    first: i64,
    update: Expr,
) -> Result<(), CatalogError> {
    let row = storage_by_products::ActiveModel {
        storage: ActiveValue::Set(storage),
        bytes: ActiveValue::Set(first),
    };
    Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Storage).value(Column::Bytes, update).to_owned())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

fn bytes(row: Option<storage_by_products::Model>) -> u64 {
    row.and_then(|row| u64::try_from(row.bytes).ok()).unwrap_or(0)
}
