//! Generations: how an old catalog is told from the current one.
//!
//! The catalog counts a generation up for each of its storages now and then, and the daemon then notes it on the storage.
//! What is noted there is therefore never newer than the catalog, unless the catalog was replaced by an older copy or lost
//! its last transactions. Then the storage holds paths that the catalog does not know, and is to be searched for them. That
//! is recorded, so that it is done even if the daemon stops before.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::storage_generation;
use crate::entity::values::Count;
use crate::writer::Written;
use crate::{Catalog, CatalogError, StorageId};

/// How far the catalog has come with a storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Counts up. 0 before the first note on the storage.
    pub number: u64,
    /// Whether the storage is known to hold paths that the catalog has lost.
    pub rebuild: bool,
}

impl Catalog {
    /// Returns the generation of a storage.
    pub async fn generation(&self, storage: StorageId) -> Result<Generation, CatalogError> {
        let row = storage_generation::Entity::find_by_id(storage).one(self.readers()).await?;
        Ok(row.map(Generation::from).unwrap_or_default())
    }

    /// Counts up the generations of storages. Returns them in the order of `storages`. Only a generation that was returned
    /// may be noted on its storage.
    pub async fn advance_generations(&self, storages: Vec<StorageId>) -> Result<Vec<u64>, CatalogError> {
        self.write(storages, |transaction, storages| {
            Box::pin(async move {
                let mut numbers = Vec::with_capacity(storages.len());
                for storage in storages {
                    let Generation { number, rebuild } = find(transaction, *storage).await?;
                    let next = Generation { number: number + 1, rebuild };
                    save(transaction, *storage, next).await?;
                    numbers.push(next.number);
                }
                Ok(Written::quietly(numbers))
            })
        })
        .await
    }

    /// Records that a storage holds paths that the catalog has lost. `noted` is the generation that was found there: the
    /// next one will be higher.
    pub async fn begin_rebuild(&self, storage: StorageId, noted: u64) -> Result<(), CatalogError> {
        self.write((storage, noted), |transaction, (storage, noted)| {
            Box::pin(async move {
                let known = find(transaction, *storage).await?;
                let number = known.number.max(*noted);
                save(transaction, *storage, Generation { number, rebuild: true }).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Records that the lost paths of a storage are in the catalog again.
    pub async fn finish_rebuild(&self, storage: StorageId) -> Result<(), CatalogError> {
        self.write(storage, |transaction, storage| {
            Box::pin(async move {
                let known = find(transaction, *storage).await?;
                save(transaction, *storage, Generation { rebuild: false, ..known }).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Returns the storages that hold paths that the catalog has lost.
    pub async fn storages_to_rebuild(&self) -> Result<Vec<StorageId>, CatalogError> {
        let rows = storage_generation::Entity::find()
            .filter(storage_generation::Column::Rebuild.eq(true))
            .order_by_asc(storage_generation::Column::Storage)
            .all(self.readers())
            .await?;
        Ok(rows.into_iter().map(|row| row.storage).collect())
    }
}

async fn find(transaction: &DatabaseTransaction, storage: StorageId) -> Result<Generation, CatalogError> {
    let row = storage_generation::Entity::find_by_id(storage).one(transaction).await?;
    Ok(row.map(Generation::from).unwrap_or_default())
}

async fn save(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    generation: Generation,
) -> Result<(), CatalogError> {
    use storage_generation::Column;
    let row = storage_generation::ActiveModel {
        storage: ActiveValue::Set(storage),
        generation: ActiveValue::Set(Count::new("a generation", generation.number)?.into()),
        rebuild: ActiveValue::Set(generation.rebuild),
    };
    storage_generation::Entity::insert(row)
        .on_conflict(
            OnConflict::column(Column::Storage)
                .update_columns([Column::Generation, Column::Rebuild])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

impl From<storage_generation::Model> for Generation {
    fn from(row: storage_generation::Model) -> Self {
        Self { number: row.generation.get(), rebuild: row.rebuild }
    }
}
