//! Which realisations lead to a path, so that they go with it.
//!
//! The files themselves lie on the storages. A row without a file does no harm; a file without a row, from before there were rows or
//! from a storage that came from elsewhere, gets one by an fsck.

use std::collections::HashSet;

use nix_formats::StorePathHash;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::entity::field::{Field, stored};
use crate::entity::{realisation, store_path, trashed_path};
use crate::gc::IN_LIST;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError};

impl Catalog {
    /// Records that the realisation in the file `name`, its key in the storage, leads to a path.
    pub async fn record_realisation(
        &self,
        cache: CacheId,
        name: &str,
        path: &StorePathHash,
    ) -> Result<(), CatalogError> {
        self.write((cache, name.to_owned(), *path), |transaction, (cache, name, path)| {
            Box::pin(async move {
                realisation::Entity::insert(realisation::ActiveModel {
                    cache: ActiveValue::Set(*cache),
                    name: ActiveValue::Set(name.clone()),
                    path: ActiveValue::Set((*path).into()),
                })
                .on_conflict(
                    OnConflict::columns([realisation::Column::Cache, realisation::Column::Name])
                        .update_column(realisation::Column::Path)
                        .to_owned(),
                )
                .exec_without_returning(transaction)
                .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Returns the names of the realisations that lead to those of the paths that neither the cache nor its trash has.
    pub async fn realisations_without_paths(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<Vec<String>, CatalogError> {
        let mut names = Vec::new();
        for some in paths.chunks(IN_LIST) {
            let found: Vec<(String, Field<realisation::Entity, StorePathHash>)> = realisation::Entity::find()
                .select_only()
                .columns([realisation::Column::Name, realisation::Column::Path])
                .filter(realisation::Column::Cache.eq(cache))
                .filter(realisation::Column::Path.is_in(some.iter().map(stored)))
                .into_tuple()
                .all(self.readers())
                .await?;
            if found.is_empty() {
                continue;
            }
            let needed = self.needed_paths(cache, some).await?;
            names.extend(
                found.into_iter().filter(|(_, path)| !needed.contains(&**path)).map(|(name, _)| name),
            );
        }
        Ok(names)
    }

    /// Returns those of the names that have a row.
    pub async fn known_realisations(
        &self,
        cache: CacheId,
        names: Vec<String>,
    ) -> Result<HashSet<String>, CatalogError> {
        let mut known = HashSet::new();
        for some in names.chunks(IN_LIST) {
            let found: Vec<String> = realisation::Entity::find()
                .select_only()
                .column(realisation::Column::Name)
                .filter(realisation::Column::Cache.eq(cache))
                .filter(realisation::Column::Name.is_in(some.iter().cloned()))
                .into_tuple()
                .all(self.readers())
                .await?;
            known.extend(found);
        }
        Ok(known)
    }

    /// Those of the paths that the cache or its trash has.
    async fn needed_paths(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<HashSet<StorePathHash>, CatalogError> {
        let present: Vec<Field<store_path::Entity, StorePathHash>> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::Hash.is_in(paths.iter().map(stored)))
            .into_tuple()
            .all(self.readers())
            .await?;
        let trashed: Vec<Field<trashed_path::Entity, StorePathHash>> = trashed_path::Entity::find()
            .select_only()
            .column(trashed_path::Column::Hash)
            .filter(trashed_path::Column::Cache.eq(cache))
            .filter(trashed_path::Column::Hash.is_in(paths.iter().map(stored)))
            .into_tuple()
            .all(self.readers())
            .await?;
        let present = present.into_iter().map(Field::into_inner);
        Ok(present.chain(trashed.into_iter().map(Field::into_inner)).collect())
    }

    /// Deletes the rows of realisations whose files are removed.
    pub async fn forget_realisations(&self, cache: CacheId, names: Vec<String>) -> Result<(), CatalogError> {
        self.write((cache, names), |transaction, (cache, names)| {
            Box::pin(async move {
                for some in names.chunks(IN_LIST) {
                    realisation::Entity::delete_many()
                        .filter(realisation::Column::Cache.eq(*cache))
                        .filter(realisation::Column::Name.is_in(some.iter().cloned()))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}
